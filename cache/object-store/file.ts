import { createHash } from 'node:crypto';
import { constants, createReadStream, type Stats } from 'node:fs';
import { copyFile, link, lstat, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CarportError, isErrno } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { moveFile, readSmallFile, writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, isTemporaryName, removeLeftovers } from '../../lib/filesystem/temporary.js';
import {
  checkKey,
  isKey,
  type ListedObject,
  type ListOptions,
  missingObject,
  type ObjectStore,
} from './object-store.js';

const READ_SIZE = 256 * 1024;

/** Files that are being written, inside the root, so that a rename makes them visible. */
const SPOOL = 'carport/tmp';

/** Objects as files below a directory, which is made with the first object. Writes are atomic renames. */
export function openFileStore(root: string): ObjectStore {
  const localPath = (key: string): string => join(root, checkKey(key));
  let names: Promise<() => string> | undefined;
  const spoolName = async (): Promise<string> => {
    names ??= prepareSpool(join(root, SPOOL));
    return (await names)();
  };
  const url = pathToFileURL(root).href;
  /** Makes a file and lets `path` be its name. */
  const moveNew = async (path: string, make: (temporary: string) => Promise<void>) => {
    const temporary = await spoolName();
    try {
      await make(temporary);
      await moveFile(temporary, path);
    } finally {
      // A rename does nothing when both are names of one file.
      await rm(temporary, { force: true });
    }
  };
  return {
    url,
    spoolName,
    localPath,
    read: (key, limit) => readSmallFile(localPath(key), limit),
    size: (key) => fileSize(localPath(key)),
    async get(key) {
      const path = localPath(key);
      const size = await fileSize(path);
      if (size === undefined) return undefined;
      return { size, bytes: () => createReadStream(path, { highWaterMark: READ_SIZE }) };
    },
    async put(key, body) {
      if ('path' in body) await moveFile(body.path, localPath(key));
      else await writeFileAtomic(localPath(key), await spoolName(), body);
    },
    async copy(from, to) {
      const [source, target] = [localPath(from), localPath(to)];
      if (!(await statFile(source))) throw missingObject(from, url);
      await moveNew(target, (temporary) => copyFile(source, temporary, constants.COPYFILE_FICLONE));
    },
    async alias(key, target) {
      const [second, first] = [localPath(key), localPath(target)];
      const [there, wanted] = await Promise.all([statFile(second), statFile(first)]);
      if (!wanted) throw missingObject(target, url);
      if (there && isSameFile(there, wanted)) return false;
      if (there?.size === wanted.size && (await digestOf(second)) === (await digestOf(first))) return false;
      await moveNew(second, (temporary) => linkOrCopy(first, temporary));
      return true;
    },
    list: (options) => listDirectory(root, options),
    async remove(keys) {
      for (const key of keys) await rm(localPath(key), { force: true });
    },
    async close() {},
  };
}

async function prepareSpool(directory: string): Promise<() => string> {
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
  { prefix = '', recursive = false }: ListOptions,
  directory = '',
): AsyncGenerator<ListedObject> {
  const end = prefix.indexOf('/', directory.length);
  if (end !== -1 && prefix.startsWith(directory)) {
    // One entry alone can lead there: the others, which may be thousands, are not read.
    const name = prefix.slice(directory.length, end);
    if (isListed(name) && (await isDirectory(join(root, directory, name)))) {
      yield* listDirectory(root, { prefix, recursive }, prefix.slice(0, end + 1));
    }
    return;
  }
  const entries = await readdir(join(root, directory), { withFileTypes: true }).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  });
  const keys = entries
    .filter(({ name }) => isListed(name))
    .map((entry) => directory + entry.name + (entry.isDirectory() ? '/' : ''));
  let files: string[] = [];
  for (const key of keys.sort(byBytes)) {
    const below = key.endsWith('/');
    if (!below && key.startsWith(prefix)) files.push(key);
    if (below || files.length === SIZES_AT_ONCE) {
      yield* await sized(root, files);
      files = [];
    }
    if (below && recursive && key.startsWith(prefix)) yield* listDirectory(root, { prefix, recursive }, key);
  }
  yield* await sized(root, files);
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

/** Files whose sizes are asked for at a time. */
const SIZES_AT_ONCE = 256;

/** Without what is no file, or not there any more. */
async function sized(root: string, keys: readonly string[]): Promise<readonly ListedObject[]> {
  const found = await Promise.all(keys.map((key) => statFile(join(root, key)).catch(() => undefined)));
  return keys.flatMap((key, at) => {
    const stats = found[at];
    return stats === undefined ? [] : [{ key, size: stats.size, modified: stats.mtime }];
  });
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

async function fileSize(path: string): Promise<number | undefined> {
  return (await statFile(path))?.size;
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
