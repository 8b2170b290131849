/**
 * What it finds in directories, in the order of a bucket. What blocks of the listing of directories: `small-files.ts`
 * does it on its thread.
 */

import { type Dirent, readdirSync, type Stats, statSync } from 'node:fs';
import { isErrno } from '../errors.js';
import { isTemporaryName } from './temporary.js';

/** A plain file that was found. */
export interface FoundFile {
  /** From the directory that was asked for, with `/` between its parts. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written, in milliseconds since 1970. */
  readonly modified: number;
}

/**
 * Files below a directory, in the order of the bytes of their paths; nothing when there are more than `limit` files and
 * directories. Links to files are files, links to directories are not followed.
 */
export function findFiles(directory: string, limit: number): readonly FoundFile[] | undefined {
  const found: FoundFile[] = [];
  let left = limit;
  const walk = (below: string): boolean => {
    for (const entry of readEntries(`${directory}/${below}`, '')) {
      if (left-- === 0) return false;
      const path = below + entry;
      if (!path.endsWith('/')) found.push(...statFiles(directory, [path]));
      else if (!walk(path)) return false;
    }
    return true;
  };
  return walk('') ? found : undefined;
}

/** Names in a directory that begin so, those of directories with a `/` behind them, in the order of their bytes. */
export function readEntries(directory: string, prefix: string): readonly string[] {
  return entryNames(readDirectory(directory), prefix);
}

/** The same of what was read of a directory already. */
export function entryNames(entries: readonly Dirent[], prefix: string): readonly string[] {
  return entries
    .filter(({ name }) => name.startsWith(prefix) && !isTemporaryName(name))
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort(byBytes);
}

/** Without what is no file, or not there any more. */
export function statFiles(directory: string, paths: readonly string[]): readonly FoundFile[] {
  return paths.flatMap((path) => {
    const stats = statOf(`${directory}/${path}`);
    return stats?.isFile() ? [{ path, size: stats.size, modified: stats.mtime.getTime() }] : [];
  });
}

function readDirectory(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Text without characters from U+D800 on has the same order. */
function byBytes(a: string, b: string): number {
  if (/[\ud800-\uffff]/.test(a + b)) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}
