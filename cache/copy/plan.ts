/** What of a cache is to be copied to another: what it has, what readers would take of that, and what is missing there. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode, insteadOf } from '../../lib/errors.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { walkReferences } from '../../lib/store/walk-references.js';
import { listHashParts, readNarInfo } from '../binary-cache.js';
import { listNarInfosIfCheaper } from '../existing-objects.js';
import { findPath, type Wanted } from '../find-path.js';
import type { WantedRoot } from '../pull/plan.js';
import { hasAllSignatures, saySame } from '../signatures.js';

/** Narinfos that are asked for at a time. */
const AT_ONCE = 64;

/** A path that is left out, and why. */
export interface LeftOutPath {
  readonly path: string;
  readonly why: CarportError;
}

/** What is to be at the other end. */
export interface WantedPaths {
  readonly infos: ReadonlyMap<string, NarInfo>;
  /** Of a whole cache: what readers would not take, with all that refers to it. */
  readonly leftOut: readonly LeftOutPath[];
}

/** What is missing there. */
export interface MissingPaths {
  /** Dependencies first. */
  readonly copy: readonly NarInfo[];
  /** Paths that are there already. */
  readonly present: number;
}

/** Where paths are from, and what is trusted of it. */
export interface CopySource {
  readonly from: ObjectStore;
  readonly storeDir: string;
  readonly trust: TrustPolicy;
  /** Names of keys whose paths pushes have left out there: of these closures something may be missing. */
  readonly leftOutKeys: readonly string[];
}

/** The closures of paths, all of which must be there, signed as readers want it. */
export async function wantClosures(wanted: readonly WantedRoot[], source: CopySource): Promise<WantedPaths> {
  const roots = await mapAtMost(AT_ONCE, wanted, ({ hashPart, path }) => requirePath({ hashPart, path }, source));
  const seen: NarInfo[] = [...roots];
  const referrerOf = (path: string) => {
    const info = seen.find(({ references }) => references.includes(path));
    return info && { info, objects: source.from };
  };
  const infos = await walkReferences(
    roots.map(({ path }) => path),
    async (paths) => {
      const known = new Map(roots.map((info) => [info.path, info]));
      const found = await mapAtMost(
        AT_ONCE,
        paths,
        async (path) =>
          known.get(path) ??
          requirePath({ hashPart: hashPartOf(path), path, referrer: () => referrerOf(path) }, source).catch(
            noneIfLeftOut(source),
          ),
      );
      const there = found.filter((info) => info !== undefined);
      seen.push(...there);
      return new Map(there.map((info) => [info.path, info]));
    },
  );
  return { infos, leftOut: [] };
}

/** All that a cache has. One path that readers would not take leaves out what refers to it, and nothing else. */
export async function wantAll(source: CopySource): Promise<WantedPaths> {
  const hashParts: string[] = [];
  for await (const hashPart of listHashParts(source.from)) hashParts.push(hashPart);
  const leftOut: LeftOutPath[] = [];
  const infos = new Map<string, NarInfo>();
  await mapAtMost(AT_ONCE, hashParts, async (hashPart) => {
    try {
      const info = await requirePath({ hashPart, path: undefined }, source);
      infos.set(info.path, info);
    } catch (why) {
      if (!(why instanceof CarportError) || !['E_SIGNATURE', 'E_INTEGRITY', 'E_FORMAT'].includes(why.code)) throw why;
      leftOut.push({ path: hashPart, why });
    }
  });
  const left = new Set(leftOut.map(({ path }) => path));
  const isFine = (reference: string) => source.leftOutKeys.length > 0 && !left.has(hashPartOf(reference));
  for (const [path, reference] of unfounded(infos, isFine)) {
    infos.delete(path);
    const message = `\`${path}\` refers to \`${reference}\`, which is missing or is left out`;
    leftOut.push({ path, why: new CarportError('E_NOT_FOUND', message) });
  }
  return { infos, leftOut };
}

function noneIfLeftOut({ leftOutKeys }: CopySource) {
  return (error: unknown): undefined => {
    if (leftOutKeys.length > 0 && hasCode(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  };
}

async function requirePath(
  wanted: Pick<Wanted, 'hashPart' | 'path' | 'referrer'>,
  { from, storeDir, trust }: CopySource,
): Promise<NarInfo> {
  const { info } = await findPath([from], { ...wanted, storeDir }, trust, () => undefined);
  return info;
}

/** Paths that reach something that is not there, each with the reference that leads to it. */
function unfounded(
  infos: ReadonlyMap<string, NarInfo>,
  isFine: (reference: string) => boolean,
): ReadonlyMap<string, string> {
  const referrers = new Map<string, string[]>();
  const found = new Map<string, string>();
  for (const { path, references } of infos.values()) {
    for (const reference of references) {
      if (!infos.has(reference) && !isFine(reference)) found.set(path, reference);
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

/** Looks what another cache has of paths: the same content, signed as readers want it, and by those who sign the copy. */
export async function missingAt(
  to: ObjectStore,
  infos: WantedPaths['infos'],
  { trust, keys }: { readonly trust: TrustPolicy; readonly keys: readonly SecretKey[] },
): Promise<MissingPaths> {
  const listed = await listNarInfosIfCheaper(to, infos.size);
  const isThere = async (info: NarInfo) => {
    const hashPart = hashPartOf(info.path);
    if (listed && !listed.has(hashPart)) return false;
    const there = await readNarInfo(to, hashPart).catch(insteadOf('E_INTEGRITY', undefined));
    return there !== undefined && saySame(there, info) && hasAllSignatures(there, keys) && isTrusted(there, trust);
  };
  const order = topologicalOrder(infos).map(({ path }) => infos.get(path)!);
  const there = await mapAtMost(AT_ONCE, order, isThere);
  const copy = order.filter((_, index) => !there[index]);
  return { copy, present: order.length - copy.length };
}

function isTrusted(info: NarInfo, { keys, allowUnsigned }: TrustPolicy): boolean {
  const { state } = verifyPath(info, keys);
  return state === 'valid' || (state === 'unsigned' && allowUnsigned);
}

/** What nothing else of these refers to: they keep all of them. */
export function rootsAmong(infos: WantedPaths['infos']): readonly string[] {
  const below = new Set([...infos.values()].flatMap(({ path, references }) => references.filter((to) => to !== path)));
  return [...infos.keys()].filter((path) => !below.has(path));
}
