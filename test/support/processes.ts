import { readFileSync } from 'node:fs';

/** Whether a process runs. One that has ended and that nobody, a lazy init for one, has waited for yet is dead all the same. */
export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${processId}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
