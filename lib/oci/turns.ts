/**
 * Lets those who change the index of a layout do so one after the other, without locks: each makes a marker whose name tells its
 * process, and only then looks for those of others. Of two, the one whose marker was there second sees the other's, takes its own
 * away and comes again; what a killed process has left counts for nothing.
 */

import { lstat, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CarportError } from '../errors.js';
import { createTemporaryNames, makerOf } from '../filesystem/temporary.js';

const ENDING = '.turn';

/** A turn takes milliseconds. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 20;
const LONGEST_PAUSE_MS = 1000;

/** Does work in a directory while nobody else does any there by this function, in any process. Throws `E_IO` where its turn never comes. */
export async function takingTurns<T>(directory: string, work: () => Promise<T>): Promise<T> {
  const names = await createTemporaryNames(directory);
  const begun = Date.now();
  for (let pause = PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    const marker = `${names()}${ENDING}`;
    await writeFile(marker, '', { flag: 'wx' });
    try {
      if (!(await isBusy(directory, basename(marker)))) return await work();
    } finally {
      await rm(marker, { force: true });
    }
    if (Date.now() - begun > PATIENCE_MS) {
      throw new CarportError('E_IO', `another process has been writing to \`${directory}\` for a minute`, {
        hint: 'end it, or wait for it',
      });
    }
    // Not all at once again.
    await setTimeout(pause * Math.random());
  }
}

async function isBusy(directory: string, own: string): Promise<boolean> {
  for (const name of await readdir(directory)) {
    if (name === own || !name.endsWith(ENDING)) continue;
    const maker = await makerOf(name);
    if (maker === 'lives' || (maker === 'elsewhere' && (await isYoung(join(directory, name))))) return true;
  }
  return false;
}

/** A process that cannot be asked, on another machine or in another container, has had its turn after so long. */
async function isYoung(marker: string): Promise<boolean> {
  const stats = await lstat(marker).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.ctimeMs < PATIENCE_MS;
}
