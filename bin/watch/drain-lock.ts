/** Who drains a queue: one process, which is known by its id and by the boot of the machine. */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errors.js';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Whether a process is at it. The script that `hook --print-script` prints looks in the same way. */
export async function isDrained(directory: string): Promise<boolean> {
  const text = await readFile(fileIn(directory), 'utf8').catch(() => '');
  const [id, boot] = text.trim().split(' ');
  if (!/^\d+$/.test(id ?? '') || boot !== (await bootId())) return false;
  try {
    process.kill(Number(id), 0);
    return true;
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
}

/** Takes the queue for this process; false where another has it. Should two ever have it, both push the same, which is safe. */
export async function takeDrain(directory: string): Promise<boolean> {
  const text = `${process.pid} ${await bootId()}\n`;
  for (const isFirst of [true, false]) {
    try {
      await writeFile(fileIn(directory), text, { flag: 'wx' });
      return true;
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      if (!isFirst || (await isDrained(directory))) return false;
      await rm(fileIn(directory), { force: true });
    }
  }
  return false;
}

/** Gives it back. */
export async function leaveDrain(directory: string): Promise<void> {
  await rm(fileIn(directory), { force: true });
}

function fileIn(directory: string): string {
  return join(directory, '.drainer');
}

async function bootId(): Promise<string> {
  return (await readFile(BOOT_ID, 'utf8').catch(() => '-')).trim();
}
