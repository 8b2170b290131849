/** What a directory of objects has that is no object: its listing does not show it, and whoever asks for it is refused. */

import { constants, type Dirent, type Stats } from 'node:fs';
import { access, chmod, lstat, readdir, readlink, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mapAtMost } from '../concurrency.js';
import { isErrno } from '../errors.js';
import { isLeftover, isTemporaryName } from '../filesystem/temporary.js';

/** One of them. */
export interface StrangeFile {
  /** From the root, with `/` between its parts. */
  readonly path: string;
  readonly what: /** Of a process that is gone: ours, Nix's, rclone's or rsync's. */
    | 'temporary'
    | 'directory-for-file'
    /** A pipe, a socket, a device. */
    | 'special'
    | 'dangling-link'
    | 'link'
    | 'unreadable';
  /** Where a link leads, or what the system says. */
  readonly detail: string;
  /** When it was last changed, in milliseconds since 1970, where that is known. */
  readonly modified?: number;
}

/** Entries of a directory that are looked at at a time. */
const AT_ONCE = 64;

/** Whether others than carport call files so that are on their way. */
export function isForeignTemporary(key: string): boolean {
  return TEMPORARY_NAME.test(key.slice(key.lastIndexOf('/') + 1));
}

/** How other programs call a file that is on its way (Nix: libstore/local-binary-cache-store.cc; rclone; rsync; ours are known by process). */
const TEMPORARY_NAME = /\.tmp(\.[0-9]+){0,2}$|\.tmp-[0-9]+-[0-9]+$|\.partial$|^\..+\.[A-Za-z0-9]{6}$/;

/** The key that a file with a name of these is to have when it is finished. */
export function finishedName(key: string): string {
  const slash = key.lastIndexOf('/') + 1;
  const name = key.slice(slash).replace(/\.tmp(\.[0-9]+){0,2}$|\.tmp-[0-9]+-[0-9]+$|\.partial$/, '');
  return key.slice(0, slash) + name.replace(/^\.(.+)\.[A-Za-z0-9]{6}$/, '$1');
}

const READABLE = 0o444;
const OWNER_READS = 0o400;

/** Names that a file has, and no directory. */
const FILE_NAME = /\.(narinfo|ls|nar(\.[a-z0-9]+)?|json|doi)$|^nix-cache-info$/;

/** Finds all below a directory, by the names that the caller has not yet seen as objects. Follows no link. */
export async function* findStrangeFiles(root: string, now = Date.now()): AsyncGenerator<StrangeFile> {
  const directories = [''];
  for (let below = directories.pop(); below !== undefined; below = directories.pop()) {
    const entries = await entriesOf(join(root, below));
    if (!Array.isArray(entries)) {
      yield { path: below.replace(/\/$/, '') || '.', what: 'unreadable', detail: entries.message };
      continue;
    }
    const found = await mapAtMost(AT_ONCE, entries, (entry) => strangeEntry(root, below + entry.name, entry, now));
    for (const [index, entry] of entries.entries()) {
      const strange = found[index];
      if (strange) yield strange;
      if (entry.isDirectory() && !strange && !isTemporaryName(entry.name)) directories.push(`${below}${entry.name}/`);
    }
  }
}

async function entriesOf(directory: string): Promise<Dirent[] | { readonly message: string }> {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    if (isErrno(error, 'EACCES', 'EPERM', 'EIO')) return { message: error.message };
    throw error;
  }
}

async function strangeEntry(root: string, path: string, entry: Dirent, now: number): Promise<StrangeFile | undefined> {
  const whole = join(root, path);
  if (isTemporaryName(entry.name)) {
    return (await isLeftover(whole, now)) ? { path, what: 'temporary', detail: '' } : undefined;
  }
  if (entry.isSymbolicLink()) return linkAt(whole, path);
  if (entry.isDirectory()) {
    return FILE_NAME.test(entry.name) ? { path, what: 'directory-for-file', detail: '' } : undefined;
  }
  if (!entry.isFile()) return { path, what: 'special', detail: '' };
  const stats = await lstat(whole).catch(() => undefined);
  if (stats === undefined) return undefined;
  if (TEMPORARY_NAME.test(entry.name)) return { path, what: 'temporary', detail: '', modified: stats.mtimeMs };
  const why = await whyUnreadable(whole, stats);
  return why === undefined ? undefined : { path, what: 'unreadable', detail: why };
}

/** Also the user who may read all is told of what nobody else can: a web server is another user. */
async function whyUnreadable(path: string, { mode, uid }: Stats): Promise<string | undefined> {
  const owner = `it belongs to user ${uid}, and its mode is ${(mode & 0o7777).toString(8).padStart(4, '0')}`;
  if ((mode & READABLE) === 0) return `nobody may read it: ${owner}`;
  if (process.geteuid?.() === 0) return undefined;
  try {
    await access(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return isErrno(error, 'EACCES', 'EPERM') ? `this user may not read it: ${owner}` : undefined;
  }
}

async function linkAt(whole: string, path: string): Promise<StrangeFile | undefined> {
  const detail = await readlink(whole).catch(() => '');
  const leadsTo = await stat(whole).catch(() => undefined);
  if (leadsTo === undefined) return { path, what: 'dangling-link', detail };
  return { path, what: 'link', detail };
}

/** Lets those read a file who may read the directory that it is in; false where that is another user's to do. */
export async function letRead(root: string, path: string): Promise<boolean> {
  const whole = join(root, path);
  try {
    const [file, directory] = [await lstat(whole), await stat(dirname(whole))];
    const isSearched = file.isDirectory() ? (directory.mode & READABLE) >> 2 : 0;
    await chmod(whole, (file.mode | OWNER_READS | (directory.mode & READABLE) | isSearched) & 0o7777);
    return true;
  } catch (error) {
    if (isErrno(error, 'EPERM', 'EACCES', 'EROFS')) return false;
    throw error;
  }
}

/** Removes a temporary file, a link, a special file, or a directory that is empty; false where there is something in it. */
export async function removeStrangeFile(root: string, path: string): Promise<boolean> {
  const whole = join(root, path);
  try {
    if ((await lstat(whole)).isDirectory()) await rmdir(whole);
    else await unlink(whole);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true;
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST')) return false;
    throw error;
  }
}
