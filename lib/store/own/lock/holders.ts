/** Who is at work in an own store just now, by the markers of others. */

import { lstat, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { CarportError, isErrno } from '../../../errors.js';
import { processesThatMount } from '../../../filesystem/mounted.js';
import { isNameOfLivingProcess, makerOf, processIdOf } from '../../../filesystem/temporary.js';
import { isStorePath } from '../../../nix/store-path.js';
import type { OwnStore } from '../own-store.js';
import { activeMarkers, type LockHolder } from './markers.js';

/** Paths that a program runs from. */
export interface RunningProgram {
  /** Of carport; when that has ended, of what the program has left running. */
  readonly processId: number;
  /** Absent when there was no space to say it: then it may be anything. */
  readonly storePaths?: readonly string[];
}

/** What runs from a store now. */
export async function runningPrograms({
  layout,
  storeDir,
}: Pick<OwnStore, 'layout' | 'storeDir'>): Promise<readonly RunningProgram[]> {
  const programs: RunningProgram[] = [];
  for (const marker of await activeMarkers(layout.activeDir, ['use'])) {
    const text = await readFile(marker, 'utf8').catch((error) => {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw new CarportError('E_IO', `it cannot be read what a running program needs: \`${marker}\``, { cause: error });
    });
    if (text === undefined) continue;
    const storePaths = text.split('\n').filter((line) => isStorePath(line, storeDir));
    programs.push({ processId: await runnerOf(basename(marker)), ...(storePaths.length > 0 && { storePaths }) });
  }
  return programs;
}

async function runnerOf(name: string): Promise<number> {
  const left = (await isNameOfLivingProcess(name)) ? [] : await processesThatMount(name);
  return left[0] ?? processIdOf(name)!;
}

/** Whether somebody adds paths just now. */
export async function isBeingWritten({ layout }: Pick<OwnStore, 'layout'>): Promise<boolean> {
  return (await activeMarkers(layout.activeDir, ['write'])).length > 0;
}

const DOING: Readonly<Record<LockHolder, string>> = {
  write: 'adds to',
  gc: 'collects garbage in',
  use: 'runs a program from',
};

/** Who has a marker, and what that process does in a store, in words. */
export async function describeMarker(marker: string, store: string): Promise<string> {
  const name = basename(marker);
  const doing = `${DOING[name.slice(name.lastIndexOf('.') + 1) as LockHolder]} ${store}`;
  if ((await makerOf(name)) !== 'elsewhere') return `process ${processIdOf(name)} ${doing}`;
  const stats = await lstat(marker).catch(() => undefined);
  const age = stats ? `, by a marker that is ${formatAge(Date.now() - stats.ctimeMs)} old` : '';
  return `process ${processIdOf(name)} of another machine or container ${doing}${age}`;
}

function formatAge(ms: number): string {
  const minutes = Math.max(0, Math.round(ms / 60_000));
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
