/** Who drains a queue: one process, which is known as by a temporary name: by its id, its start, and the boot of the machine. */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isErrno } from '../../lib/errors.js';
import { createTemporaryNames, isNameOfLivingProcess } from '../../lib/filesystem/temporary.js';

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Whether a process is at it. The script that `hook --print-script` prints looks in the same way. */
export async function isDrained(directory: string): Promise<boolean> {
  const text = await readFile(fileIn(directory), 'utf8').catch(() => '');
  const [, , , name = ''] = text.trim().split(' ');
  // One in another container cannot be asked, and may be gone: then both push, which is safe.
  return isNameOfLivingProcess(name);
}

/** Takes the queue for this process; false where another has it. Should two ever have it, both push the same, which is safe. */
export async function takeDrain(directory: string): Promise<boolean> {
  const name = basename((await createTemporaryNames(directory))());
  // The script has no hashes of what is in the name.
  const text = `${process.pid} ${await bootId()} ${await ownStart()} ${name}\n`;
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

/** When this process started, in ticks since the boot; behind its name, which may hold anything. */
async function ownStart(): Promise<string> {
  const stat = await readFile('/proc/self/stat', 'latin1').catch(() => '');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '-';
}
