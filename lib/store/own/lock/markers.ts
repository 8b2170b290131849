/** Markers of processes that are at work in an own store: files whose names tell who does what. */

import { rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FULL, isErrno } from '../../../errors.js';
import { namesIn } from '../../../filesystem/exists.js';
import { processesThatMount } from '../../../filesystem/mounted.js';
import { isLeftover, keepYoung, processIdOf } from '../../../filesystem/temporary.js';

/** What somebody does in a store. `write`: paths are being added. `gc`: paths are being taken away. `use`: a program runs from paths. */
export type LockHolder = 'write' | 'gc' | 'use';

/** Takes a marker away. */
export type Lower = () => Promise<void>;

/** Makes a marker, which is a file that must not exist, and says in it which paths are in use. */
export async function writeMarker(marker: string, content: string): Promise<Lower> {
  try {
    if (content === '') await writeFile(marker, '', { flag: 'wx' });
    else await writeWholeMarker(marker, content);
  } catch (error) {
    await rm(marker, { force: true }).catch(() => undefined);
    throw error;
  }
  const letGo = keepYoung(marker);
  return async () => {
    letGo();
    if (marker.endsWith('.use') && (await processesThatMount(basename(marker))).length > 0) return;
    // One that stays counts no longer than this process.
    await rm(marker, { force: true }).catch(() => undefined);
  };
}

/** There with all that it says, or, on a full disk, empty, which takes no space: then it keeps everything. */
async function writeWholeMarker(marker: string, content: string): Promise<void> {
  const temporary = marker.slice(0, marker.lastIndexOf('.'));
  try {
    await writeFile(temporary, content, { flag: 'wx' });
    await rename(temporary, marker);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    if (!isErrno(error, ...FULL)) throw error;
    await writeFile(marker, '', { flag: 'wx' });
  }
}

/** Markers of processes that live, or that are mounted for one; others are removed. */
export async function activeMarkers(activeDir: string, activities: readonly LockHolder[]): Promise<readonly string[]> {
  const markers: string[] = [];
  for (const name of await namesIn(activeDir)) {
    if (!activities.some((activity) => name.endsWith(`.${activity}`)) || processIdOf(name) === undefined) continue;
    const marker = join(activeDir, name);
    if (!(await isLeftover(marker))) markers.push(marker);
    else await rm(marker, { force: true }).catch(() => undefined);
  }
  return markers;
}
