import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach } from 'vitest';

/** Whether a process runs. One that has ended and that nobody, a lazy init for one, has waited for yet is dead all the same. */
export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return !/\) [ZX] /.test(readFileSync(`/proc/${processId}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Processes of a test, which are killed after it. */
export function useChildren(): ChildProcess[] {
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });
  return children;
}
