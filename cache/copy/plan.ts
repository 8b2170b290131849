/** What of a cache is to be copied to another: what it has, what readers would take of that, and what is missing there. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { walkReferences } from '../../lib/store/walk-references.js';
import { listHashParts, readNarInfo } from '../binary-cache.js';
import { listNarInfosIfCheaper } from '../existing-objects.js';
import { findPath } from '../find-path.js';

/** Narinfos that are asked for at a time. */
const AT_ONCE = 64;

/** A path that is left out, and why. */
export interface LeftOutPath {
  readonly path: string;
  readonly why: CarportError;
}

/** What a copy does. */
export interface CopyPlan {
  /** What is missing there, dependencies first. */
  readonly copy: readonly NarInfo[];
  /** Paths that are there already. */
  readonly present: number;
  /** Of a whole cache: what readers would not take, with all that refers to it. */
  readonly leftOut: readonly LeftOutPath[];
}

/** Between which caches, and what is trusted of the first. */
export interface CopyEnds {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly storeDir: string;
  readonly trust: TrustPolicy;
}

/** Plans the copy of the closures of hash parts, all of which must be there, signed as readers want it. */
export async function planClosures(hashParts: readonly string[], ends: CopyEnds): Promise<CopyPlan> {
  const roots = await mapAtMost(AT_ONCE, hashParts, (hashPart) => requirePath(hashPart, undefined, ends));
  const infos = await walkReferences(
    roots.map(({ path }) => path),
    async (paths) => {
      const known = new Map(roots.map((info) => [info.path, info]));
      const found = await mapAtMost(
        AT_ONCE,
        paths,
        async (path) => known.get(path) ?? requirePath(hashPartOf(path), path, ends),
      );
      return new Map(found.map((info) => [info.path, info]));
    },
  );
  return { ...(await withoutPresent(infos, ends)), leftOut: [] };
}

/** Plans the copy of all that a cache has. One path that readers would not take leaves out what refers to it, and nothing else. */
export async function planAll(ends: CopyEnds): Promise<CopyPlan> {
  const hashParts: string[] = [];
  for await (const hashPart of listHashParts(ends.from)) hashParts.push(hashPart);
  const leftOut: LeftOutPath[] = [];
  const infos = new Map<string, NarInfo>();
  await mapAtMost(AT_ONCE, hashParts, async (hashPart) => {
    try {
      const info = await requirePath(hashPart, undefined, ends);
      infos.set(info.path, info);
    } catch (why) {
      if (!(why instanceof CarportError) || !['E_SIGNATURE', 'E_INTEGRITY', 'E_FORMAT'].includes(why.code)) throw why;
      leftOut.push({ path: hashPart, why });
    }
  });
  for (const [path, reference] of unfounded(infos)) {
    infos.delete(path);
    const message = `\`${path}\` refers to \`${reference}\`, which is missing or is left out`;
    leftOut.push({ path, why: new CarportError('E_NOT_FOUND', message) });
  }
  return { ...(await withoutPresent(infos, ends)), leftOut };
}

async function requirePath(
  hashPart: string,
  path: string | undefined,
  { from, storeDir, trust }: CopyEnds,
): Promise<NarInfo> {
  const { info } = await findPath([from], { hashPart, path, storeDir }, trust, () => undefined);
  return info;
}

/** Paths that reach something that is not there, each with the reference that leads to it. */
function unfounded(infos: ReadonlyMap<string, NarInfo>): ReadonlyMap<string, string> {
  const referrers = new Map<string, string[]>();
  const found = new Map<string, string>();
  for (const { path, references } of infos.values()) {
    for (const reference of references) {
      if (!infos.has(reference)) found.set(path, reference);
      const others = referrers.get(reference);
      if (others) others.push(path);
      else referrers.set(reference, [path]);
    }
  }
  // A map tells those that are added while it is walked, too.
  for (const path of found.keys())
    for (const referrer of referrers.get(path) ?? []) if (!found.has(referrer)) found.set(referrer, path);
  return found;
}

async function withoutPresent(infos: ReadonlyMap<string, NarInfo>, { to }: CopyEnds) {
  const listed = await listNarInfosIfCheaper(to, infos.size);
  const isThere = async ({ path }: NarInfo) => {
    const hashPart = hashPartOf(path);
    return listed ? listed.has(hashPart) : (await readNarInfo(to, hashPart)) !== undefined;
  };
  const order = topologicalOrder(infos).map(({ path }) => infos.get(path)!);
  const there = await mapAtMost(AT_ONCE, order, isThere);
  const copy = order.filter((_, index) => !there[index]);
  return { copy, present: order.length - copy.length };
}
