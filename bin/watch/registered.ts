/** What a store has got since a moment: new entries of its directory, as soon as they are valid. */

import { readdir, stat } from 'node:fs/promises';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { isStoreBaseName } from '../../lib/nix/store-path.js';
import type { Store } from '../../lib/store/store.js';
import type { StoreStart } from './queue.js';

/** The entries of store directories at a moment, by their base names. */
export type Snapshot = ReadonlySet<string>;

/** What is there now. A directory that is not there yet is empty. */
export async function snapshotOf(directories: readonly string[]): Promise<Snapshot> {
  const lists = await Promise.all(directories.map((directory) => readdir(directory).catch(() => [])));
  return new Set(lists.flat());
}

/** What directories of stores have now and did not have at one of some earlier moments. */
export async function newSince(starts: readonly StoreStart[]): Promise<Snapshot> {
  const fresh = new Set<string>();
  for (const start of starts) {
    for (const name of await snapshotOf(start.directories)) if (!start.names.has(name)) fresh.add(name);
  }
  return fresh;
}

export interface Registrations {
  /** New valid paths, each once, since the last call. The last call of all takes also what something else still holds. */
  look(isLast?: boolean): Promise<readonly PathInfo[]>;
  /** Takes names for new, although they were there: they were not valid then. */
  forget(names: Iterable<string>): void;
}

export interface RegistrationsRequest {
  readonly store: Store;
  readonly before: Snapshot;
  /** Whether paths count that no derivation has made, such as copied sources. */
  readonly withSources: boolean;
}

/** Beside a path Nix may have these, and what ends so is no output. */
const NOT_OUTPUT = /\.(?:drv|lock|check|chroot|tmp)$/;

/** Looks for what a store gets. A look at a directory that has not changed costs nothing; others ask Nix once. */
export function createRegistrations({ store, before, withSources }: RegistrationsRequest): Registrations {
  const known = new Set(before);
  let changedAt = '';

  const hasChanged = async (): Promise<boolean> => {
    const times = await Promise.all(
      store.realStoreDirs.map((directory) =>
        stat(directory)
          .then((stats) => stats.mtimeMs)
          .catch(() => 0),
      ),
    );
    const now = times.join();
    // Entries of the same tick of the clock may come later.
    const isSettled = Date.now() - Math.max(...times) > SETTLED_MS;
    const changed = now !== changedAt;
    if (isSettled) changedAt = now;
    return changed;
  };

  return {
    async look(isLast = false) {
      if (!isLast && !(await hasChanged())) return [];
      const names = await snapshotOf(store.realStoreDirs);
      const candidates = [...names].filter(
        (name) =>
          !known.has(name) &&
          !NOT_OUTPUT.test(name) &&
          isStoreBaseName(name) &&
          // Nix holds this while it builds or copies the path.
          (isLast || !names.has(`${name}.lock`)),
      );
      if (candidates.length === 0) return [];
      const infos = await store.queryInfos(candidates.map((name) => `${store.storeDir}/${name}`));
      const valid = [...infos.values()];
      for (const { path } of valid) known.add(path.slice(store.storeDir.length + 1));
      // What is not valid yet is looked at again, though nothing else may change.
      if (valid.length < candidates.length) changedAt = '';
      return valid.filter(({ deriver }) => withSources || deriver !== undefined);
    },
    forget(names) {
      for (const name of names) known.delete(name);
      changedAt = '';
    },
  };
}

/** So long after a change a directory is taken to have the time of its last one. */
const SETTLED_MS = 2000;
