/** An object store in a directory. */

import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { copyFile, link, lstat, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { CarportError, isErrno } from '../errors.js';
import type { FoundFile } from '../filesystem/directory-files.js';
import { makeDirectory } from '../filesystem/make-directory.js';
import { createSharing, isHiding, makeSharedDirectory } from '../filesystem/shared.js';
import {
  findSmallFiles,
  listEntries,
  moveFile,
  readSmallFile,
  statSmallFiles,
  writeFileAtomic,
} from '../filesystem/small-files.js';
import { createTemporaryNames, isTemporaryName, removeLeftovers, TEMPORARY } from '../filesystem/temporary.js';
import {
  type ByteRange,
  checkKey,
  checkRange,
  isKey,
  type ListedObject,
  type ListOptions,
  LOCAL_TRAITS,
  missingObject,
  type StoredObject,
  type WriteStore,
} from './object-store.js';

const READ_SIZE = 256 * 1024;

/** The `file://` URL of a store in a directory. */
export function fileStoreUrl(root: string): string {
  return pathToFileURL(root).href;
}

/** Objects as files below a directory, which is made with the first object. Writes are atomic renames. */
export function openFileStore(root: string): WriteStore {
  const pathOf = (key: string): string => join(root, checkKey(key));
  let names: Promise<() => string> | undefined;
  const spoolName = async (): Promise<string> => {
    // Inside the root, so that a rename makes files visible.
    names ??= prepareSpool(root);
    return (await names)();
  };
  const url = fileStoreUrl(root);
  const share = createSharing(root);
  return {
    url,
    traits: LOCAL_TRAITS,
    localFile: pathOf,
    ...(!isHiding() && { placeOf: pathOf }),
    spoolName,
    read: (key, limit) => readSmallFile(pathOf(key), limit),
    async stat(key) {
      const found = await statFile(pathOf(key));
      return found && { size: found.size, modified: found.mtime, etag: `${found.ino}-${found.size}-${found.mtimeMs}` };
    },
    async open(key, range) {
      const path = pathOf(key);
      const found = await statFile(path);
      return found && fileRange(path, found.size, range);
    },
    async put(key, body) {
      if ('path' in body) await moveFile(body.path, pathOf(key));
      else await writeFileAtomic(pathOf(key), await spoolName(), body);
      await share(pathOf(key));
    },
    async copy(from, to) {
      const [source, target] = [pathOf(from), pathOf(to)];
      if (!(await statFile(source))) throw missingObject(from, url);
      await moveNew(target, await spoolName(), (path) => copyFile(source, path, constants.COPYFILE_FICLONE));
      await share(target);
    },
    async alias(from, to, { dryRun = false } = {}) {
      const [second, first] = [pathOf(to), pathOf(from)];
      const [there, wanted] = await Promise.all([statFile(second), statFile(first)]);
      if (!wanted) throw missingObject(from, url);
      if (there && isSameFile(there, wanted)) return false;
      if (there?.size === wanted.size && (await digestOf(second)) === (await digestOf(first))) return false;
      if (dryRun) return true;
      await moveNew(second, await spoolName(), (path) => linkOrCopy(first, path));
      await share(second);
      return true;
    },
    list: (options) => listDirectory(root, options),
    async remove(keys) {
      for (const key of keys) await rm(pathOf(key), { force: true });
    },
    removeUnfinished: async () => 0,
    now: async () => timeOfNewFile(await spoolName()),
    async close() {},
  };
}

/** Makes a file that is called `temporary` meanwhile, and lets `path` be its name. */
async function moveNew(path: string, temporary: string, make: (temporary: string) => Promise<void>): Promise<void> {
  try {
    await make(temporary);
    await moveFile(temporary, path);
  } finally {
    // A rename does nothing when both are names of one file.
    await rm(temporary, { force: true });
  }
}

/** The time by the clock of the file system, which may be another machine's. */
async function timeOfNewFile(path: string): Promise<Date> {
  try {
    await writeFile(path, '');
    return (await stat(path)).mtime;
  } finally {
    await rm(path, { force: true });
  }
}

/** A part of a file of `total` bytes, or all of it. */
function fileRange(path: string, total: number, range?: ByteRange): StoredObject {
  const { offset, length } = range ? checkRange(range) : { offset: 0, length: total };
  const size = Math.max(0, Math.min(length, total - offset));
  const part = range && { start: offset, end: offset + size - 1 };
  return {
    size,
    // A stream cannot end before its first byte.
    bytes: () =>
      range && size === 0 ? Readable.from([]) : createReadStream(path, { ...part, highWaterMark: READ_SIZE }),
    discard() {},
  };
}

async function prepareSpool(root: string): Promise<() => string> {
  await makeSharedDirectory(root);
  const directory = join(root, TEMPORARY);
  await makeDirectory(directory);
  await removeLeftovers(directory);
  return createTemporaryNames(directory);
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.dev === b.dev && a.ino === b.ino;
}

/** Some file systems have no links, and none is made to others' files: there the bytes are what two names have in common. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!isErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}

async function digestOf(path: string): Promise<string> {
  const hasher = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: READ_SIZE })) hasher.update(bytes);
  return hasher.digest('hex');
}

/** In the order of a bucket, where a directory's name goes on with a slash. */
async function* listDirectory(
  root: string,
  { prefix = '', recursive = false, skipsUnreadable = false }: ListOptions,
): AsyncGenerator<ListedObject> {
  const directory = prefix.slice(0, prefix.lastIndexOf('/') + 1);
  if (!(await isOwnDirectory(root, directory))) return;
  const name = prefix.slice(directory.length);
  for await (const { path, size, modified } of findIn(join(root, directory), name, { recursive, skipsUnreadable })) {
    const key = directory + path;
    if (key.split('/').every(isListed)) yield { key, size, modified: new Date(modified) };
  }
}

/** Without links: what they lead to is not in the store. */
async function isOwnDirectory(root: string, directory: string): Promise<boolean> {
  const parts = directory.split('/').slice(0, -1);
  for (const [index, part] of parts.entries()) {
    if (!isListed(part) || !(await isDirectory(join(root, ...parts.slice(0, index + 1))))) return false;
  }
  return true;
}

/** A directory with more below it is listed in several steps. */
const MAX_FOUND = 250;

/** Directories whose files are asked for at a time. */
const DIRECTORIES_AT_ONCE = 256;

type HowToFind = Required<Pick<ListOptions, 'recursive' | 'skipsUnreadable'>>;

/** Files in a directory whose names begin so, and perhaps those of directories whose names do. */
async function* findIn(directory: string, prefix: string, how: HowToFind): AsyncGenerator<FoundFile> {
  const entries = await listEntries(directory, prefix);
  let at = 0;
  while (at < entries.length) {
    const isBelow = entries[at]!.endsWith('/');
    const limit = at + (isBelow ? DIRECTORIES_AT_ONCE : MAX_FOUND);
    const start = at;
    while (at < Math.min(limit, entries.length) && entries[at]!.endsWith('/') === isBelow) at++;
    const group = entries.slice(start, at);
    if (!isBelow) yield* await statSmallFiles(directory, group);
    else if (how.recursive) yield* findBelow(directory, group, how);
  }
}

async function* findBelow(directory: string, names: readonly string[], how: HowToFind): AsyncGenerator<FoundFile> {
  const skip = (error: unknown) => {
    if (!how.skipsUnreadable || !isErrno(error, 'EACCES', 'EPERM', 'EIO')) throw error;
    return undefined;
  };
  const found = await Promise.all(names.map((name) => findSmallFiles(join(directory, name), MAX_FOUND).catch(skip)));
  for (const [index, name] of names.entries()) {
    const files = found[index] ?? findIn(join(directory, name), '', how);
    try {
      for await (const file of files) yield { ...file, path: name + file.path };
    } catch (error) {
      skip(error);
    }
  }
}

function isListed(name: string): boolean {
  return isKey(name) && !isTemporaryName(name);
}

/** Not a link to one. */
async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await lstat(path)).isDirectory();
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return false;
    throw error;
  }
}

/** What is known of a plain file; `undefined` when there is nothing. A pipe or device would block or never end. */
async function statFile(path: string): Promise<Stats | undefined> {
  try {
    const stats = await stat(path);
    if (stats.isFile()) return stats;
    if (stats.isDirectory()) return undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
  throw new CarportError('E_FORMAT', `\`${path}\` is not a plain file`);
}
