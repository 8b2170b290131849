/** Which local paths may hold much of a path that is wanted, by their names. */

import { inTurns } from '../../lib/concurrency.js';
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

/** Puts paths in order by their names, some at a time; of one name no more than `most` are given. */
export async function namePaths(paths: Iterable<string>, most: number): Promise<NamedPaths> {
  const byName = new Map<string, string[]>();
  const byForm = new Map<string, string[]>();
  await inTurns(paths, (path) => {
    const name = nameOf(path);
    note(byName, name, path);
    note(byForm, withoutVersion(name), path);
  });
  return {
    like(path) {
      const name = nameOf(path);
      const all = (byName.get(name) ?? []).slice(0, most);
      let asked = 0;
      for (const other of byForm.get(withoutVersion(name)) ?? []) {
        if (all.length >= most || ++asked > MOST_LOOKED_AT) break;
        if (nameOf(other) !== name) all.push(other);
      }
      return all;
    },
  };
}

/** Of a form that a whole store has, as `source-1`, all may have the very name. */
const MOST_LOOKED_AT = 1000;

function note(groups: Map<string, string[]>, key: string, path: string): void {
  const group = groups.get(key);
  if (group) group.push(path);
  else groups.set(key, [path]);
}
