/**
 * Paths that wait to be pushed, on disk: a directory for each cache, in which each path is an empty file. So a script can add
 * to it with nothing but its shell, adding twice is adding once, and what is in it survives whatever happens. Beside them each
 * `watch` that runs has a file that tells what its store had at the start: who finds one of a killed process goes on from there.
 */

import { createHash } from 'node:crypto';
import { lstat, mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { mapAtMost } from '../../lib/concurrency.js';
import { isErrno } from '../../lib/errors.js';
import { writeAtomically } from '../../lib/filesystem/atomic-write.js';
import { createTemporaryNames, makerOf } from '../../lib/filesystem/temporary.js';
import { isStoreBaseName } from '../../lib/nix/store-path.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { PushBesideOptions } from '../push/options.js';

export interface Queue {
  readonly directory: string;
  /** Adds store paths or their base names. */
  add(paths: readonly string[]): Promise<void>;
  /** The base names that are in it. */
  list(): Promise<readonly string[]>;
  remove(paths: readonly string[]): Promise<void>;
  /** Removes what can never be pushed, and begins the log of those that drain it anew when it is long. Never fails. */
  tidy(): Promise<void>;
}

/** Where a queue is: of one cache and one store, as they were named. */
interface QueuePlace {
  readonly to: string;
  readonly store: string | undefined;
}

/** What those say that drain it. They append to it: one that ends at once must not take away why another failed. */
export const LOG = '.log';
const MAX_LOG_BYTES = 1024 * 1024;

/** Files that are written or removed at a time. */
const AT_ONCE = 32;

/** The queue of a cache below `$XDG_STATE_HOME/carport/queue`. The directory is made when something is added. */
function openQueue(env: NodeJS.ProcessEnv, { to, store }: QueuePlace): Queue {
  const id = createHash('sha256')
    .update(JSON.stringify([to, store ?? null]))
    .digest('hex')
    .slice(0, 32);
  const directory = join(stateDirectory(env), 'queue', id);
  const fileOf = (path: string) => join(directory, path.slice(path.lastIndexOf('/') + 1));
  return {
    directory,
    async add(paths) {
      const files = paths.map(fileOf).filter((file) => isStoreBaseName(basename(file)));
      if (files.length === 0) return;
      await mkdir(directory, { recursive: true, mode: 0o700 });
      // Nothing is written through a link that somebody has put there.
      const touch = (file: string) =>
        writeFile(file, '', { flag: 'wx' }).catch((error) => {
          if (!isErrno(error, 'EEXIST')) throw error;
        });
      await mapAtMost(AT_ONCE, files, touch);
    },
    async list() {
      const names = await readdir(directory).catch(() => []);
      return names.filter(isStoreBaseName);
    },
    async remove(paths) {
      await mapAtMost(AT_ONCE, paths, (path) => rm(fileOf(path), { force: true }));
    },
    async tidy() {
      const names = await readdir(directory).catch(() => []);
      const junk = names.filter((name) => !name.startsWith('.') && !isStoreBaseName(name));
      await mapAtMost(AT_ONCE, junk, (name) => rm(join(directory, name), { force: true }).catch(() => undefined));
      const log = join(directory, LOG);
      const stats = await lstat(log).catch(() => undefined);
      if (stats?.isFile() && stats.size > MAX_LOG_BYTES) await truncate(log).catch(() => undefined);
    },
  };
}

/** The queue that options mean. */
export function queueOf({ settings }: Pick<PushBesideOptions, 'settings'>, env: NodeJS.ProcessEnv): Queue {
  return openQueue(env, { to: settings.to.texts.at(-1) ?? '', store: settings.store.value });
}

/** What store directories held at a moment, by base names. */
export interface StoreStart {
  readonly directories: readonly string[];
  readonly names: ReadonlySet<string>;
}

/** A start that a process noted which ended without removing that. */
export interface LeftStart extends StoreStart {
  readonly notedAt: Date;
  /** Forgets it. One of another container, which may still run, stays for a day. */
  forget(): Promise<void>;
}

const START = '.since';

/** More than stores of a million paths need. */
const MAX_START_BYTES = 256 * 1024 * 1024;
const FOREIGN_AGE_MS = 24 * 60 * 60 * 1000;

/** A name for the note of this process in a queue. */
export async function startNoteIn({ directory }: Queue): Promise<string> {
  return join(directory, `${START}${basename((await createTemporaryNames(directory))())}`);
}

/** Writes a start to disk for good: directories, which begin with a slash, then names, a line each. */
export async function noteStart(file: string, { directories, names }: StoreStart): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await writeAtomically(file, async (temporary) => {
    const opened = await open(temporary, 'wx', 0o600);
    try {
      await opened.writeFile(`${[...directories, ...names].join('\n')}\n`);
      await opened.sync();
    } finally {
      await opened.close();
    }
  });
}

/** The starts in a queue whose processes are gone. */
export async function leftStarts({ directory }: Queue): Promise<readonly LeftStart[]> {
  const starts: LeftStart[] = [];
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.startsWith(START)) continue;
    const maker = await makerOf(name.slice(START.length));
    const file = join(directory, name);
    const stats = await stat(file).catch(() => undefined);
    if (maker === undefined || maker === 'lives' || !stats?.isFile() || stats.size > MAX_START_BYTES) continue;
    const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
    const isOver = maker === 'gone' || Date.now() - stats.mtimeMs > FOREIGN_AGE_MS;
    starts.push({
      directories: lines.filter((line) => line.startsWith('/')),
      names: new Set(lines.filter((line) => !line.startsWith('/'))),
      notedAt: stats.mtime,
      forget: () => (isOver ? rm(file, { force: true }) : Promise.resolve()),
    });
  }
  return starts;
}
