/**
 * Calls of `node:fs/promises` that are done before they return, for a process that has nothing else to do meanwhile: to hand one to a
 * thread takes longer than what is done to a small file, and Node's module for that longer to load than this. `tools/bundle.ts` gives
 * it to what runs before the program, and to a push that may have nothing to do, which need no more of them than these.
 */

import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  type Dir,
  type Dirent,
  linkSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  promises,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { isErrno } from '../../errors.js';

export const appendFile = atOnce(appendFileSync);
export const chmod = atOnce(chmodSync);
export const copyFile = atOnce(copyFileSync);
export const link = atOnce(linkSync);
export const lstat = atOnce(lstatSync);
export const mkdir = atOnce(mkdirSync);
export const readdir = atOnce(readdirSync);
export const readFile = atOnce(readFileSync);
export const readlink = atOnce(readlinkSync);
export const realpath = atOnce(realpathSync.native);
export const rename = atOnce(renameSync);
export const stat = atOnce(statSync);
export const utimes = atOnce(utimesSync);
export const writeFile = atOnce(writeFileSync);

/** What is rare waits for a thread. */
export const open: typeof promises.open = (...args) => promises.open(...args);

/** Removes a file; more than that is rare. */
export const rm: typeof promises.rm = async (path, options = {}) => {
  const { force = false, ...others } = options;
  if (Object.keys(others).length > 0) return promises.rm(path, options);
  try {
    unlinkSync(path);
  } catch (error) {
    if (!force || !isErrno(error, 'ENOENT')) throw error;
  }
};

/** As far as entries are read one after another. */
export async function opendir(path: string): Promise<AsyncIterable<Dirent>> {
  return entriesOf(opendirSync(path));
}

async function* entriesOf(directory: Dir): AsyncGenerator<Dirent> {
  try {
    for (let entry = directory.readSync(); entry; entry = directory.readSync()) yield entry;
  } finally {
    directory.closeSync();
  }
}

/** A call whose errors are those of its promise. */
function atOnce<A extends readonly unknown[], T>(call: (...args: A) => T): (...args: A) => Promise<T> {
  return async (...args) => call(...args);
}
