/**
 * Paths that wait to be pushed, on disk: a directory for each cache, in which each path is an empty file. So a script can add
 * to it with nothing but its shell, adding twice is adding once, and what is in it survives whatever happens.
 */

import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { mapAtMost } from '../../lib/concurrency.js';
import { isErrno } from '../../lib/errors.js';
import { isStoreBaseName } from '../../lib/nix/store-path.js';
import { stateDirectory } from '../../lib/state-directory.js';

export interface Queue {
  readonly directory: string;
  /** Adds store paths or their base names. */
  add(paths: readonly string[]): Promise<void>;
  /** The base names that are in it. */
  list(): Promise<readonly string[]>;
  remove(paths: readonly string[]): Promise<void>;
}

/** Where a queue is: of one cache and one store, as they were named. */
export interface QueuePlace {
  readonly to: string;
  readonly store: string | undefined;
}

/** Files that are written or removed at a time. */
const AT_ONCE = 32;

/** The queue of a cache below `$XDG_STATE_HOME/carport/queue`. The directory is made when something is added. */
export function openQueue(env: NodeJS.ProcessEnv, { to, store }: QueuePlace): Queue {
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
  };
}
