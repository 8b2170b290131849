/** Marks what roots keep, on columns: pure, and the same for the same cache. */

import { growing, integers } from './growing.js';
import type { NarInfoColumns, Survey } from './survey.js';

/** Paths that are kept, and why. */
export interface Root {
  /** What it is: `pin`, `lease`, `release`. */
  readonly kind: 'pin' | 'lease' | 'release';
  /** The name of the pin or the release; of leases there is no more than one root. */
  readonly name: string;
  readonly hashParts: Iterable<string>;
}

/** What a root keeps. */
export interface RootShare {
  readonly kind: Root['kind'] | 'young';
  readonly name: string;
  /** Paths of its closure that the cache has. Others may keep them, too; but see `isPart`. */
  readonly paths: number;
  /** Bytes of their NARs, each once. */
  readonly bytes: number;
  /** Hash parts of it that the cache does not have. */
  readonly missing: readonly string[];
  /** It was too much to count all that each root keeps: this is what those before it do not keep. */
  readonly isPart?: true;
}

/** Which narinfos stay. */
export interface Marks {
  /** 1 for each that stays. */
  readonly kept: Uint8Array;
  readonly shares: readonly RootShare[];
  /** Paths that only their age keeps, or what is young above them; and their bytes. */
  readonly young: RootShare;
}

/** What stays for its age, and how much of it. */
export interface AgeRule {
  /** What was written since then is young. */
  readonly cutoff: number;
  /** What was written since then stays also beyond `maxSize`. */
  readonly firm: number;
  /** Bytes that the cache may have; what was pushed least recently goes first. */
  readonly maxSize: number | undefined;
}

/** Missing hash parts that are named of one root. */
const MOST_MISSING = 10;

/** Marks what roots and age keep. */
export function markSurvey(survey: Survey, roots: Iterable<Root>, rule: AgeRule): Marks {
  const { narInfos } = survey;
  const kept = new Uint8Array(narInfos.length);
  const share = createShares(survey);
  const shares: RootShare[] = [];
  for (const root of roots) shares.push(share(root, kept));
  const weight = createWeight(survey);
  for (let number = 0; number < narInfos.length; number++) if (kept[number]) weight.add(number);
  const before = weight.total();
  const paths = keepYoung(survey, kept, weight, rule);
  const young = { kind: 'young', name: '', paths, bytes: weight.total() - before, missing: [] } as const;
  return { kept, shares, young };
}

/** Marks all that can be reached, and gives the numbers that were not marked before, in a column. */
export function markFrom(narInfos: NarInfoColumns, kept: Uint8Array, starts: Iterable<number>): Int32Array {
  const queue = growing(integers);
  const mark = (number: number) => {
    if (number < 0 || kept[number]) return;
    kept[number] = 1;
    queue.push(number);
  };
  for (const start of starts) mark(start);
  const { firstReference, references } = narInfos;
  for (let at = 0; at < queue.length; at++) {
    const number = queue.array()[at]!;
    for (let n = firstReference[number]!; n < firstReference[number + 1]!; n++) mark(references[n]!);
  }
  return queue.array().subarray(0, queue.length);
}

/** Thousands of roots that each keep nearly all would take hours: so many paths are visited to count what each keeps. */
const MOST_VISITS = 5_000_000;

/** Counts the closure of each root by itself, and marks it. */
function createShares({ narInfos, nars }: Survey) {
  let visits = 0;
  let seen = new Uint8Array(narInfos.length);
  let seenNars = new Uint8Array(nars.length);
  return ({ kind, name, hashParts }: Root, kept: Uint8Array): RootShare => {
    const starts: number[] = [];
    const missing: string[] = [];
    for (const hashPart of hashParts) {
      const number = narInfos.hashParts.find(hashPart);
      if (number >= 0 && !narInfos.vanished[number]) starts.push(number);
      else if (missing.length < MOST_MISSING) missing.push(hashPart);
    }
    const isPart = visits > MOST_VISITS;
    const found = markFrom(narInfos, isPart ? kept : seen, starts);
    visits += found.length;
    let bytes = 0;
    for (const number of found) {
      kept[number] = 1;
      const nar = narInfos.nar[number]!;
      if (nar < 0 || seenNars[nar]) continue;
      seenNars[nar] = 1;
      bytes += nars.size[nar]!;
    }
    // Small closures are unmarked one by one: there may be thousands of roots.
    if (found.length * 8 > narInfos.length) {
      seen = new Uint8Array(narInfos.length);
      seenNars = new Uint8Array(nars.length);
    } else {
      for (const number of found) {
        seen[number] = 0;
        const nar = narInfos.nar[number]!;
        if (nar >= 0) seenNars[nar] = 0;
      }
    }
    return { kind, name, paths: found.length, bytes, missing, ...(isPart && { isPart }) };
  };
}

/** The bytes of narinfos and their NARs, each counted once. */
function createWeight({ narInfos, nars }: Survey) {
  const uses = new Uint32Array(nars.length);
  let total = 0;
  return {
    total: () => total,
    add(number: number) {
      total += narInfos.size[number]!;
      const nar = narInfos.nar[number]!;
      if (nar >= 0 && uses[nar]!++ === 0) total += nars.size[nar]!;
    },
    remove(number: number) {
      total -= narInfos.size[number]!;
      const nar = narInfos.nar[number]!;
      if (nar >= 0 && --uses[nar]! === 0) total -= nars.size[nar]!;
    },
  };
}

/** Marks what is young, the newest first, as long as there is room; gives how many paths that are. */
function keepYoung(
  { narInfos }: Survey,
  kept: Uint8Array,
  weight: ReturnType<typeof createWeight>,
  { cutoff, firm, maxSize }: AgeRule,
): number {
  const { modified, vanished } = narInfos;
  let paths = 0;
  const keep = (starts: Iterable<number>): Int32Array => {
    const found = markFrom(narInfos, kept, starts);
    for (const number of found) weight.add(number);
    paths += found.length;
    return found;
  };
  const youngSince = function* (since: number) {
    for (let number = 0; number < narInfos.length; number++) {
      if (modified[number]! >= since && !vanished[number]) yield number;
    }
  };
  keep(youngSince(maxSize === undefined ? cutoff : Math.max(firm, cutoff)));
  if (maxSize === undefined) return paths;
  const rest = Int32Array.from(youngSince(cutoff)).sort((a, b) => modified[b]! - modified[a]!);
  for (const number of rest) {
    if (kept[number]) continue;
    const found = keep([number]);
    if (weight.total() <= maxSize) continue;
    for (const one of found) {
      kept[one] = 0;
      weight.remove(one);
    }
    return paths - found.length;
  }
  return paths;
}
