/** Temporary names that tell their process, leftovers, removal of read-only trees. */

import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { chmod, lstat, open, readdir, readFile, readlink, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join } from 'node:path';
import { isErrno } from '../errors.js';
import { processesThatMount } from './mounted.js';
import { childPath } from './walk.js';

/** What stores of objects themselves have in a cache: files and copies that are on their way. */
export const TEMPORARY = 'carport/tmp/';

const PREFIX = '.carport-';
/** An ending is added to it for files beside it. */
const NAME =
  /^\.carport-(?<machine>[0-9a-f]{8})-(?<boot>[0-9a-f]{8})-(?<namespace>[0-9a-f]{8})-(?<pid>[0-9]+)-(?<start>[0-9]+)-[0-9a-f]{24}(\.[a-z]+)?$/;

/** Of older versions: their makers are not asked. */
const OLD_NAME = /^\.carport-[0-9a-f]{12}-(?<pid>[0-9]+)-[0-9a-f]{24}(\.[a-z]+)?$/;

/** In a name, for what this system does not tell. */
const UNKNOWN = '00000000';

/** A leftover whose owner cannot be asked (another machine, another container) is removed at this age. */
const FOREIGN_AGE_MS = 24 * 60 * 60 * 1000;
const REFRESH_MS = 60 * 60 * 1000;

/** The ending of a tree that somebody goes on with. No other temporary name has it: parts of downloads end in 32 letters alone. */
const RESUMABLE = /\.tree[a-p]{32}$/;

/** The endings of markers that only tell who is at work. */
const NEVER_MOUNTED = /\.(write|gc|make[a-p]{32})$/;

/** Opens what a path names, to be named by it. Node does not know this flag of Linux. */
const O_PATH = 0o10000000;

/**
 * Names for files and directories that nobody else uses, beside what they will become. A name tells the process that
 * made it, so that leftovers of a killed one can be found.
 */
export async function createTemporaryNames(directory: string): Promise<() => string> {
  const { machine, boot, namespace, start } = await thisProcess();
  const base = `${PREFIX}${machine}-${boot}-${namespace}-${process.pid}-${start}-${randomBytes(8).toString('hex')}`;
  const path = join(directory, base);
  let number = 0;
  return () => path + (number++).toString(16).padStart(8, '0');
}

/**
 * Removes what processes of this user that are gone left in a directory. Where everybody may write nothing is removed:
 * others could put names there, and exchange what they name meanwhile. What has a `resumableEnding` stays. Never fails: it is only tidying.
 */
export async function removeLeftovers(directory: string, now = Date.now()): Promise<void> {
  const names = (await readdir(directory).catch(() => [])).filter(
    (name) => isTemporaryName(name) && !RESUMABLE.test(name),
  );
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
  const maker = await makerOf(basename(path));
  if (maker === undefined || maker === 'lives') return false;
  if (maker === 'elsewhere' && !(await wasLeftBefore(path, now - FOREIGN_AGE_MS))) return false;
  // To look for who mounts it takes long, and killed processes may have left many.
  return NEVER_MOUNTED.test(path) || (await processesThatMount(basename(path))).length === 0;
}

/** An ending for the temporary name of a tree by which it is found again, as what becomes `key`; earlier carports take it for a leftover as any. */
export function resumableEnding(key: string): string {
  return `.tree${letterHash(key)}`;
}

/** 32 letters for a text, as endings may have them. */
export function letterHash(text: string): string {
  const digits = createHash('sha256').update(text).digest('hex').slice(0, 32);
  return [...digits].map((digit) => 'abcdefghijklmnop'[Number.parseInt(digit, 16)]).join('');
}

/** The `resumableEnding` of a temporary name that has one. */
export function resumableEndingOf(name: string): string | undefined {
  return isTemporaryName(name) ? RESUMABLE.exec(name)?.[0] : undefined;
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

/** Whether everybody may write in a directory, or it cannot be asked: what is named there may be exchanged at any time. */
export async function isForEverybody(directory: string): Promise<boolean> {
  const stats = await stat(directory).catch(() => undefined);
  return stats === undefined || (stats.mode & 0o002) !== 0;
}

/** Whether something is there, and it is this user's. */
export async function isOwn(path: string): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && stats.uid === (process.geteuid?.() ?? stats.uid);
}

/** The id of the process that gave a temporary name. */
export function processIdOf(name: string): number | undefined {
  const groups = (NAME.exec(name) ?? OLD_NAME.exec(name))?.groups;
  return groups && Number(groups.pid);
}

/** True for a name that a process of this machine gave, and that still runs. */
export async function isNameOfLivingProcess(name: string): Promise<boolean> {
  return (await makerOf(name)) === 'lives';
}

/** As `isNameOfLivingProcess`, of a process that is not stopped either, by a signal or a debugger. */
export async function isNameOfRunningProcess(name: string): Promise<boolean> {
  return (await isNameOfLivingProcess(name)) && !/\) [Tt] /.test(await statOf(processIdOf(name)!));
}

/** True for a name that `createTemporaryNames` gives. */
export function isTemporaryName(name: string): boolean {
  return NAME.test(name) || OLD_NAME.test(name);
}

/** True for a name that ends with one, also behind what it is for, as that of a claim does. */
export function endsWithTemporaryName(name: string): boolean {
  const at = name.indexOf(PREFIX);
  return at >= 0 && isTemporaryName(name.slice(at));
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

/**
 * What became of the process that gave a temporary name. One `elsewhere`, on another machine or in another container, cannot
 * be asked. `undefined` for other names.
 */
export async function makerOf(name: string): Promise<'lives' | 'gone' | 'elsewhere' | undefined> {
  const maker = NAME.exec(name)?.groups;
  if (maker === undefined) return OLD_NAME.test(name) ? 'elsewhere' : undefined;
  const here = await thisProcess();
  const isThisMachine = maker.machine !== UNKNOWN && maker.machine === here.machine;
  // No two machines have one boot; where that is not told the machine must do. A container without `/proc` is not told of it.
  const isOtherBoot = maker.boot !== UNKNOWN && here.boot !== UNKNOWN;
  if (maker.boot !== here.boot) return isThisMachine && isOtherBoot ? 'gone' : 'elsewhere';
  if (maker.namespace !== here.namespace || (maker.boot === UNKNOWN && !isThisMachine)) return 'elsewhere';
  return (await isAlive(Number(maker.pid), maker.start!)) ? 'lives' : 'gone';
}

interface ThisProcess {
  /** Stays the same when the machine is started again. */
  readonly machine: string;
  readonly boot: string;
  /** Within one, process ids tell processes apart that run at the same time. */
  readonly namespace: string;
  /** When it started; tells it from others that had or will have its id. */
  readonly start: string;
  /** Whether `/proc` is about processes by the ids that they have here. */
  readonly hasProc: boolean;
}

let known: Promise<ThisProcess> | undefined;

function thisProcess(): Promise<ThisProcess> {
  known ??= lookAtThisProcess();
  return known;
}

async function lookAtThisProcess(): Promise<ThisProcess> {
  const read = (file: string) => readFile(file, 'utf8').catch(() => '');
  const [id, boot, namespace, self] = await Promise.all([
    read('/etc/machine-id'),
    read('/proc/sys/kernel/random/boot_id'),
    readlink('/proc/self/ns/pid').catch(() => ''),
    readlink('/proc/self').catch(() => ''),
  ]);
  // Images of machines are copied with their id, and many a machine is called localhost: only both tell one.
  const machine = id.trim() === '' && /^(localhost.*)?$/.test(hostname()) ? '' : `${id.trim()} ${hostname()}`;
  const hasProc = self === String(process.pid);
  const start = hasProc ? startIn(await read('/proc/self/stat')) : undefined;
  return {
    machine: shortHash(machine),
    boot: shortHash(boot),
    namespace: shortHash(namespace),
    start: start ?? '0',
    hasProc,
  };
}

function shortHash(text: string): string {
  return text === '' ? UNKNOWN : createHash('sha256').update(text).digest('hex').slice(0, 8);
}

/** Clock ticks from the boot to the start of a process; its name, before, may hold anything. */
function startIn(stat: string): string | undefined {
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

async function isAlive(pid: number, start: string): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!isErrno(error, 'EPERM')) return false;
  }
  const stat = await statOf(pid);
  if (stat === '') return true;
  // A killed process that nobody has waited for is still listed.
  if (/\) Z /.test(stat)) return false;
  return start === '0' || startIn(stat) === start;
}

/** What the system tells of a process; empty where it tells nothing. */
async function statOf(pid: number): Promise<string> {
  const { hasProc } = await thisProcess();
  return hasProc ? readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '') : '';
}

/** By the time of the last change of the inode: a store path's own time is 1970. */
async function wasLeftBefore(path: string, time: number): Promise<boolean> {
  const stats = await lstat(path).catch(() => undefined);
  return stats !== undefined && stats.ctimeMs < time;
}
