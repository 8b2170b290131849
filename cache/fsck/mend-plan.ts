/** What is to be mended, where each is had from, and in which order. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { topologicalOrder } from '../../lib/nix/closure.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf, isHashPart } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { hashPartOfKey, narInfoKey } from '../layout.js';
import type { Finding, FindingKind } from './finding.js';
import { readAnyNarInfo } from './look/narinfo.js';
import { reasonOf } from './mend-path.js';
import type { Source, SourceFinder } from './sources.js';

/** Paths that are looked for at a time. */
const AT_ONCE = 8;

/** A path that is not as it should be. */
export interface Target {
  readonly hashPart: string;
  path: string | undefined;
  readonly kinds: Set<FindingKind>;
}

/** Kinds that leave a path unusable as long as it is not mended. `reference-missing` is about another path. */
export const OF_NAR: ReadonlySet<FindingKind> = new Set([
  'nar-outside',
  'nar-missing',
  'nar-size',
  'nar-file-hash',
  'nar-damaged',
  'nar-unsupported',
]);
export const OF_SIGNATURE: ReadonlySet<FindingKind> = new Set([
  'signature-wrong',
  'signature-missing',
  'signature-untrusted',
]);
const OF_PATH: ReadonlySet<FindingKind> = new Set([
  ...OF_NAR,
  ...OF_SIGNATURE,
  'narinfo-damaged',
  'narinfo-store-dir',
  'reference-cycle',
  'content-address',
]);
const OF_MISSING: ReadonlySet<FindingKind> = new Set(['reference-missing', 'pin-dangling', 'realisation-dangling']);

/** Paths that findings are about, by their hash parts. */
export function targetsOf(findings: readonly Finding[]): Map<string, Target> {
  const targets = new Map<string, Target>();
  const add = (hashPart: string, path: string | undefined, kind: FindingKind) => {
    const target = targets.get(hashPart) ?? { hashPart, path, kinds: new Set() };
    target.path ??= path;
    target.kinds.add(kind);
    targets.set(hashPart, target);
  };
  for (const { kind, key, path, missing } of findings) {
    const hashPart = hashPartOfKey(key);
    if (OF_PATH.has(kind) && hashPart !== undefined) add(hashPart, path, kind);
    if (OF_MISSING.has(kind) && missing !== undefined && isHashPart(hashPartOf(missing))) {
      add(hashPartOf(missing), missing, kind);
    }
  }
  // A damaged narinfo does not tell its path; what refers to it does.
  return targets;
}

/** A target with all that is known of it. */
export interface Plan extends Target {
  /** What the cache says of it. */
  readonly there: NarInfo | undefined;
  source: Source | undefined;
  /** Why there is no source. */
  refusal: string;
  /** Whether there may be a source all the same: then nothing goes for its sake. */
  mayWait: boolean;
}

/** Looks for a source of each, and of what that refers to and the cache lacks. */
export async function planAll(
  targets: Map<string, Target>,
  finder: SourceFinder,
  { objects, signal }: { readonly objects: ObjectStore; readonly signal: AbortSignal },
): Promise<Map<string, Plan>> {
  const plans = new Map<string, Plan>();
  let wave = [...targets.values()];
  while (wave.length > 0) {
    await finder.expect(wave.flatMap(({ path }) => path ?? [])).catch(ifOfStore);
    const found = await mapAtMost(AT_ONCE, wave, (target) => planOne(target, finder, objects), signal);
    for (const plan of found) plans.set(plan.hashPart, plan);
    const references = found.flatMap(({ source }) => source?.info.references ?? []);
    const unknown = [...new Set(references)].filter((reference) => !plans.has(hashPartOf(reference)));
    const missing = await mapAtMost(AT_ONCE, unknown, async (path) => {
      return (await objects.stat(narInfoKey(hashPartOf(path)))) === undefined ? path : undefined;
    });
    wave = missing.flatMap((path) =>
      path === undefined
        ? []
        : [{ hashPart: hashPartOf(path), path, kinds: new Set<FindingKind>(['reference-missing']) }],
    );
  }
  return plans;
}

/** What goes wrong with the store is said of each path. */
function ifOfStore(error: unknown): void {
  if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
}

async function planOne(target: Target, finder: SourceFinder, objects: ObjectStore): Promise<Plan> {
  const read = await readAnyNarInfo(objects, target.hashPart);
  const there = read.state === 'read' ? read.info : undefined;
  const { hashPart, path = there?.path, kinds } = target;
  const isWrongStore = kinds.has('narinfo-store-dir');
  const wanted = { hashPart, path: isWrongStore ? undefined : path, there: isDoubted(kinds) ? undefined : there };
  const found = await finder.find(wanted).catch((error) => {
    if (error instanceof CarportError && error.code !== 'E_INTERRUPTED') return error;
    throw error;
  });
  const isError = found instanceof CarportError;
  return {
    ...target,
    path,
    there,
    source: isError ? undefined : found,
    refusal: isError ? reasonOf(found) : '',
    mayWait: isError && mayBeHad(found),
  };
}

/** Whether what its narinfo says is not to be believed. */
export function isDoubted(kinds: ReadonlySet<FindingKind>): boolean {
  return kinds.has('signature-wrong') || kinds.has('reference-cycle') || kinds.has('narinfo-store-dir');
}

/** Whether an error says nothing of what can be had: a key is missing, or a program or a server does not work. */
export function mayBeHad(error: unknown): boolean {
  return !hasCode(error, 'E_NOT_FOUND', 'E_INTEGRITY', 'E_FORMAT', 'E_UNSUPPORTED');
}

/** Kinds that a path goes for, where it is not mended. */
export function isFatal(kinds: Iterable<FindingKind>): boolean {
  for (const kind of kinds)
    if (!OF_SIGNATURE.has(kind) && kind !== 'nar-unsupported' && kind !== 'content-address') return true;
  return false;
}

/** What refers to nothing else of them first, then what refers to that. */
export function levelsOf(plans: ReadonlyMap<string, Plan>): readonly (readonly Plan[])[] {
  const sources = [...plans.values()].flatMap((plan) => (plan.source ? [plan.source.info] : []));
  const graph = new Map(sources.map((info) => [info.path, info]));
  const level = new Map<string, number>();
  try {
    for (const { path, references } of topologicalOrder(graph)) {
      const below = references.filter((reference) => reference !== path).map((one) => level.get(one) ?? -1);
      level.set(path, Math.max(-1, ...below) + 1);
    }
  } catch (error) {
    // A source that goes in circles: nothing of it is published, since none is there before another.
    if (!hasCode(error, 'E_FORMAT')) throw error;
  }
  const levels: Plan[][] = [];
  for (const plan of plans.values()) {
    const at = (plan.source && level.get(plan.source.info.path)) ?? 0;
    levels[at] = [...(levels[at] ?? []), plan];
  }
  return levels.filter((one) => one !== undefined);
}
