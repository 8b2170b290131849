import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, open, readdir, readFile, readlink, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { isErrno } from '../errors.js';
import { processesThatMount } from './mounted.js';
import { childPath } from './walk.js';

const PREFIX = '.carport-';
/** An ending is added to it for files beside it. */
const NAME = /^\.carport-([0-9a-f]{12})-([0-9]+)-[0-9a-f]{24}(\.[a-z]+)?$/;

/** A leftover whose owner cannot be asked (another machine, another container) is removed at this age. */
const FOREIGN_AGE_MS = 24 * 60 * 60 * 1000;
const REFRESH_MS = 60 * 60 * 1000;

/** Opens what a path names, to be named by it. Node does not know this flag of Linux. */
const O_PATH = 0o10000000;

/**
 * Names for files and directories that nobody else uses, beside what they will become. A name tells the process that
 * made it, so that leftovers of a killed one can be found.
 */
export async function createTemporaryNames(directory: string): Promise<() => string> {
  const base = `${PREFIX}${await processSpace()}-${process.pid}-${randomBytes(8).toString('hex')}`;
  let number = 0;
  return () => join(directory, base + (number++).toString(16).padStart(8, '0'));
}

/**
 * Removes what processes of this user that are gone left in a directory. Where everybody may write nothing is removed:
 * others could put names there, and exchange what they name meanwhile. Never fails: it is only tidying.
 */
export async function removeLeftovers(directory: string, now = Date.now()): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(isTemporaryName);
  if (names.length === 0 || (await isForEverybody(directory))) return;
  for (const name of names) {
    const path = join(directory, name);
    if ((await isOwn(path)) && (await isLeftover(path, now))) await removeTree(path).catch(() => undefined);
  }
}

/**
 * True for what has a temporary name and was left by a process that is gone. A process that cannot be asked counts as
 * gone a day after the last change. What is mounted for a process is none.
 */
export async function isLeftover(path: string, now = Date.now()): Promise<boolean> {
  const match = NAME.exec(basename(path));
  if (match === null) return false;
  const isHere = match[1] === (await processSpace());
  if (isHere ? await isAlive(Number(match[2])) : !(await wasLeftBefore(path, now - FOREIGN_AGE_MS))) return false;
  return (await processesThatMount(basename(path))).length === 0;
}

/** Keeps something from being a leftover for processes that cannot ask this one. Gives what ends that. */
export function keepYoung(path: string): () => void {
  const refresh = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, REFRESH_MS);
  refresh.unref();
  return () => clearInterval(refresh);
}

async function isForEverybody(directory: string): Promise<boolean> {
  const stats = await stat(directory).catch(() => undefined);
  return stats === undefined || (stats.mode & 0o002) !== 0;
}

async function isOwn(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && stats.uid === (process.geteuid?.() ?? stats.uid);
}

/** The id of the process that gave a temporary name. */
export function processIdOf(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[2]);
}

/** True for a name that a process of this machine gave, and that still runs. */
export async function isNameOfLivingProcess(name: string): Promise<boolean> {
  const match = NAME.exec(name);
  return match !== null && match[1] === (await processSpace()) && (await isAlive(Number(match[2])));
}

/** True for a name that `createTemporaryNames` gives. */
export function isTemporaryName(name: string): boolean {
  return NAME.test(name);
}

/** Removes a tree, read-only directories too; nothing there is fine. */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true });
  }
}

/** Follows no link, also when directories are exchanged for links meanwhile. */
async function makeWritable(path: string | Buffer): Promise<void> {
  const flags = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const directory = await open(path, flags).catch((error) => {
    if (isErrno(error, 'ENOTDIR', 'ELOOP', 'ENOENT')) return undefined;
    throw error;
  });
  try {
    if (directory === undefined) return;
    const opened = Buffer.from(`/proc/self/fd/${directory.fd}`);
    await chmod(opened, 0o700);
    for (const name of await readdir(opened, { encoding: 'buffer' })) await makeWritable(childPath(opened, name));
  } finally {
    await directory?.close();
  }
}

/** Names the boot and the process id namespace: within one, process ids tell processes apart. */
async function processSpace(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return createHash('sha256').update(`${hostname()}\n${boot}\n${namespace}`).digest('hex').slice(0, 12);
}

async function isAlive(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isErrno(error, 'EPERM');
  }
  // A killed process that nobody has waited for is still listed.
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
  return !/\) Z /.test(stat);
}

/** By the time of the last change of the inode: a store path's own time is 1970. */
async function wasLeftBefore(path: string, time: number): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && stats.ctimeMs < time;
}
