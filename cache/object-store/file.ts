import { createReadStream } from 'node:fs';
import { mkdir, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { CarportError, isErrno } from '../../lib/errors.js';
import { moveFile, readSmallFile, writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { checkKey, type ObjectStore } from './object-store.js';

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
  return {
    url: pathToFileURL(root).href,
    spoolName,
    localPath,
    read: (key, limit) => readSmallFile(localPath(key), limit),
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
    async *list(suffix) {
      try {
        for await (const entry of await opendir(root)) {
          if (entry.name.endsWith(suffix)) yield entry.name;
        }
      } catch (error) {
        if (!isErrno(error, 'ENOENT')) throw error;
      }
    },
  };
}

async function prepareSpool(directory: string): Promise<() => string> {
  await mkdir(directory, { recursive: true });
  await removeLeftovers(directory);
  return createTemporaryNames(directory);
}

/** The size of a plain file; `undefined` when there is nothing. A pipe or device would block or never end. */
async function fileSize(path: string): Promise<number | undefined> {
  try {
    const stats = await stat(path);
    if (stats.isFile()) return stats.size;
    if (stats.isDirectory()) return undefined;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
  throw new CarportError('E_FORMAT', `\`${path}\` is not a plain file`);
}
