/** Which local paths may hold much of a path that is wanted, by their names. */

import { nameOf } from '../../lib/nix/store-path.js';

/** Paths of a store, by their names and by those without versions. */
export interface NamedPaths {
  /** Paths that are called like this one, perhaps itself: first those of the very name, then those of another version. */
  like(path: string): readonly string[];
}

/** A name without what a version is made of; what it is an output of goes before, and stays. */
function withoutVersion(name: string): string {
  return name.replace(/[0-9][0-9a-z._+]*/gi, '0');
}

/** Puts paths in order by their names; of one name no more than `most` are given. */
export function namePaths(paths: Iterable<string>, most: number): NamedPaths {
  const byName = new Map<string, string[]>();
  const byForm = new Map<string, string[]>();
  for (const path of paths) {
    const name = nameOf(path);
    note(byName, name, path);
    note(byForm, withoutVersion(name), path);
  }
  return {
    like(path) {
      const name = nameOf(path);
      const same = byName.get(name) ?? [];
      const others = (byForm.get(withoutVersion(name)) ?? []).filter((other) => nameOf(other) !== name);
      return [...same, ...others.slice(0, most)].slice(0, most);
    },
  };
}

function note(groups: Map<string, string[]>, key: string, path: string): void {
  const group = groups.get(key);
  if (group) group.push(path);
  else groups.set(key, [path]);
}
