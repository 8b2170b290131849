/** What there is of a file before it is whole: written by one process alone, and gone on with by another when that is gone. */

import { constants } from 'node:fs';
import { copyFile, type FileHandle, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createTemporaryNames, isTemporaryName, makerOf } from '../../lib/filesystem/temporary.js';

/** A part that nobody else writes. */
export interface Part {
  readonly handle: FileHandle;
  /** Where it is, under a name that tells this process. */
  readonly path: string;
  /** Where it goes when this process leaves it: everybody may take it from there. */
  readonly left: string;
}

/**
 * Takes what was left of a file in a directory, or begins one. `id` is 32 hex digits that tell its bytes. What lies there under
 * such a name and is no file of this user, of one name only, is left alone.
 */
export async function takePart(directory: string, fileName: string, id: string): Promise<Part> {
  const ending = `.${id.replace(/[0-9]/g, (digit) => 'ghijklmnop'[Number(digit)]!)}`;
  const path = `${(await createTemporaryNames(directory))()}${ending}`;
  const left = join(directory, `.${fileName.slice(0, 100)}.${id}.part`);
  for (const found of await leftParts(directory, left, ending)) await adopt(found, path);
  const adopted = await open(path, constants.O_RDWR | constants.O_NOFOLLOW).catch(() => undefined);
  if (adopted !== undefined) {
    if (isOwnFile(await adopted.stat())) return { handle: adopted, path, left };
    await adopted.close();
    await unlink(path);
  }
  return { handle: await open(path, 'wx+', 0o666), path, left };
}

/** Leaves a part to whoever comes next. */
export async function leavePart({ path, left }: Part): Promise<void> {
  await rename(path, left).catch(() => undefined);
}

interface Found {
  readonly path: string;
  readonly size: number;
  /** Whether its process may still write it. */
  readonly isTaken: boolean;
}

/** The largest comes last. */
async function leftParts(directory: string, left: string, ending: string): Promise<Found[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(ending) && isTemporaryName(name));
  const found: Found[] = [];
  for (const path of [left, ...names.map((name) => join(directory, name))]) {
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined || !isOwnFile(stats)) continue;
    const maker = path === left ? 'gone' : await makerOf(basename(path));
    if (maker === 'gone' || maker === 'elsewhere') found.push({ path, size: stats.size, isTaken: maker !== 'gone' });
  }
  return found.toSorted((a, b) => a.size - b.size);
}

/** Of two that rename it one gets it. What a process elsewhere has, which cannot be asked, is copied: it may still write there. */
async function adopt({ path, isTaken }: Found, own: string): Promise<void> {
  await (isTaken ? copyFile(path, own) : rename(path, own)).catch(() => undefined);
}

function isOwnFile(stats: { isFile(): boolean; readonly uid: number; readonly nlink: number }): boolean {
  return stats.isFile() && stats.nlink === 1 && stats.uid === (process.geteuid?.() ?? stats.uid);
}
