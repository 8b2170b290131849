/** What of a queue can be pushed, and what of it is to be forgotten. */

import { join } from 'node:path';
import { isThere } from '../../lib/filesystem/exists.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { readDerivation } from '../../lib/store/realisations.js';
import type { Store } from '../../lib/store/store.js';

/** The entries of a queue, by what becomes of them. */
export interface TakenUp {
  /** Valid paths: those of the queue, and outputs of derivations that are in it. */
  readonly valid: readonly PathInfo[];
  /** Entries to forget: they were collected as garbage, or are derivations, whose outputs are in `valid`. */
  readonly gone: readonly string[];
  /** Entries that are on disk, but of which the store does not know: the Nix that does may not be found. */
  readonly unknown: readonly string[];
}

/**
 * Looks at entries of a queue. Forgotten is only what is nowhere in the directories of the store, never what some store does
 * not know: without `nix` on PATH nothing of Nix's would be valid.
 */
export async function takeUp(names: readonly string[], store: Store, likely: readonly string[]): Promise<TakenUp> {
  const paths = names.map((name) => `${store.storeDir}/${name}`);
  const derivations = paths.filter(isDerivationPath);
  const outputs = new Map(
    await Promise.all(derivations.map(async (path) => [path, await outputsOf(store, path)] as const)),
  );
  const asked = [
    ...paths.filter((path) => !isDerivationPath(path)),
    ...[...outputs.values()].flatMap((of) => of ?? []),
  ];
  const infos = asked.length > 0 ? await store.queryInfos(asked) : new Map<string, PathInfo>();
  const directories = await existing([...new Set([...store.realStoreDirs, ...likely])]);
  const isKept = async (path: string) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const places = await Promise.all(directories.map((directory) => isThere(join(directory, name))));
    return places.length === 0 || places.includes(true);
  };
  const gone: string[] = [];
  const unknown: string[] = [];
  for (const path of paths.filter((each) => !infos.has(each))) {
    const waitsFor = outputs.get(path)?.filter((output) => !infos.has(output));
    const needed = waitsFor ?? [path];
    const isUnknown = (await Promise.all(needed.map(isKept))).includes(true);
    (isUnknown ? unknown : gone).push(path);
  }
  return { valid: [...infos.values()], gone, unknown };
}

/** The outputs that a derivation names; `undefined` where it cannot be read. */
async function outputsOf(store: Store, path: string): Promise<readonly string[] | undefined> {
  const derivation = await readDerivation(store, { path }).catch(() => undefined);
  if (derivation === undefined) return undefined;
  return [...derivation.outputs.values()].flatMap(({ path: output }) => (output === '' ? [] : [output]));
}

async function existing(directories: readonly string[]): Promise<readonly string[]> {
  const there = await Promise.all(directories.map(isThere));
  return directories.filter((_, index) => there[index]);
}
