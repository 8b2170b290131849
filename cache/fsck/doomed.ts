/** What is to go since it cannot be mended, with all that refers to it. Pure. */

import type { Condemned, GcPlan } from '../gc/plan.js';
import type { Survey } from '../gc/survey.js';
import { hashPartOfKey } from '../layout.js';
import type { Finding } from './finding.js';
import { unnamedNars } from './look/survey.js';

/** Why a narinfo goes. */
export interface Doom {
  /** 1 for each narinfo that goes. */
  readonly narInfos: Uint8Array;
  /** What is said of each: of its own fault, or of what it refers to. */
  readonly why: ReadonlyMap<number, string>;
}

/** Narinfos that go: those of these findings, and all that refers to them, directly or not. */
export function doomOf({ narInfos }: Survey, fatal: readonly Finding[]): Doom {
  const gone = new Uint8Array(narInfos.length);
  const why = new Map<number, string>();
  const queue: number[] = [];
  const add = (number: number, reason: string) => {
    if (number < 0 || gone[number]) return;
    gone[number] = 1;
    why.set(number, reason);
    queue.push(number);
  };
  for (const { key, message } of fatal) {
    const hashPart = hashPartOfKey(key);
    if (hashPart !== undefined) add(narInfos.hashParts.find(hashPart), message);
  }
  if (queue.length === 0) return { narInfos: gone, why };
  const { first, referrers } = referrersOf(narInfos);
  for (let at = 0; at < queue.length; at++) {
    const number = queue[at]!;
    const name = [narInfos.hashParts.at(number), narInfos.names.at(number)].filter((part) => part !== '').join('-');
    for (let n = first[number]!; n < first[number + 1]!; n++) {
      add(referrers[n]!, `it refers to \`${name}\`, which goes`);
    }
  }
  return { narInfos: gone, why };
}

/** References the other way round: those who refer to `n` are `referrers[first[n]]` up to, and without, that of `n + 1`. */
function referrersOf({ length, firstReference, references }: Survey['narInfos']) {
  const first = new Uint32Array(length + 2);
  const total = firstReference[length]!;
  for (let n = 0; n < total; n++) if (references[n]! >= 0) first[references[n]! + 2]!++;
  for (let number = 2; number < first.length; number++) first[number]! += first[number - 1]!;
  const referrers = new Int32Array(total);
  for (let number = 0; number < length; number++) {
    for (let n = firstReference[number]!; n < firstReference[number + 1]!; n++) {
      const to = references[n]!;
      if (to >= 0) referrers[first[to + 1]!++] = number;
    }
  }
  return { first, referrers };
}

/** What a sweep is to remove beside narinfos. */
export interface Waste {
  /** Nothing that is younger goes, by the store's clock in milliseconds. */
  readonly cutoff: number;
  /** Whether NARs and listings go that belong to nothing: not where a narinfo may come, or cannot be read. */
  readonly orphans: boolean;
}

/** The plan of a sweep that removes what is doomed, what belongs to it, and what belongs to nothing. */
export function sweepPlanOf(
  survey: Survey,
  findings: readonly Finding[],
  doom: Doom,
  { cutoff, orphans }: Waste,
): GcPlan {
  const { narInfos, nars, listings, belongings } = survey;
  const bad = new Set(findings.filter(({ kind }) => BAD_BELONGINGS.has(kind)).map(({ key }) => key));
  const stays = new Uint8Array(belongings.length);
  const [owners, owned] = [belongings.owners, new Uint8Array(belongings.length)];
  for (let at = 0; at < owners.length; at += 2) {
    const [owner, belonging] = [owners[at]!, owners[at + 1]!];
    owned[belonging] = 1;
    if (owner >= 0 && !doom.narInfos[owner]) stays[belonging] = 1;
  }
  const condemned: Condemned = {
    narInfos: doom.narInfos,
    listings: numbersWhere(listings.length, (number) => {
      const owner = narInfos.hashParts.find(listings.hashParts.at(number));
      return owner < 0 ? orphans && listings.modified[number]! <= cutoff : doom.narInfos[owner] === 1;
    }),
    belongings: numbersWhere(belongings.length, (number) => {
      if (bad.has(belongings.keys.at(number))) return true;
      return owned[number] === 1 && !stays[number];
    }),
    nars: Int32Array.from(orphans ? unnamedNars(survey).filter((number) => nars.modified[number]! <= cutoff) : []),
  };
  const totals = { paths: 0, removedPaths: 0, removedObjects: 0, removedBytes: 0, laterBytes: 0, keptBytes: 0 };
  const young = { kind: 'young', name: '', paths: 0, bytes: 0, missing: [] } as const;
  return { survey, condemned, shares: [], young, totals };
}

/** What belongs to nothing, or cannot be read. */
const BAD_BELONGINGS: ReadonlySet<Finding['kind']> = new Set([
  'realisation-damaged',
  'realisation-dangling',
  'debug-damaged',
  'debug-dangling',
  'log-orphaned',
]);

function numbersWhere(length: number, test: (number: number) => boolean): Int32Array {
  const found: number[] = [];
  for (let number = 0; number < length; number++) if (test(number)) found.push(number);
  return Int32Array.from(found);
}
