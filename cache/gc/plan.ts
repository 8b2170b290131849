/** What a collection would remove, and why: pure. */

import { growing, integers } from './growing.js';
import { type AgeRule, type Marks, markSurvey, type Root, type RootShare } from './mark.js';
import type { Survey } from './survey.js';

/** Numbers of what is to go, of each kind. */
export interface Condemned {
  /** 1 for each narinfo that goes. */
  readonly narInfos: Uint8Array;
  /** Listings whose path goes, or has gone long ago. */
  readonly listings: Int32Array;
  /** Realisations, logs and debugging information. */
  readonly belongings: Int32Array;
  /** NARs that no narinfo has named when this began: those of narinfos that go now go the next time. */
  readonly nars: Int32Array;
}

/** What is to be done, and what stays. */
export interface GcPlan {
  readonly survey: Survey;
  readonly condemned: Condemned;
  readonly shares: readonly RootShare[];
  readonly young: RootShare;
  readonly totals: GcTotals;
}

/** How much there is, goes and stays: numbers of objects, and bytes. */
export interface GcTotals {
  readonly paths: number;
  readonly removedPaths: number;
  /** Of all objects that go now. */
  readonly removedObjects: number;
  readonly removedBytes: number;
  /** Of NARs that go the next time, since their narinfos go now. */
  readonly laterBytes: number;
  /** Of what stays: narinfos, NARs and what belongs to them, without those that go the next time. */
  readonly keptBytes: number;
}

/** Plans what goes. `rule` says how old things must be. */
export function planGc(survey: Survey, roots: Iterable<Root>, rule: AgeRule): GcPlan {
  const marks = markSurvey(survey, roots, rule);
  // A cache that shall be small must lose NARs that it had kept for their age.
  const orphanAge = rule.maxSize === undefined ? rule.cutoff : Math.max(rule.cutoff, rule.firm);
  const condemned = condemn(survey, marks, orphanAge);
  return { survey, condemned, shares: marks.shares, young: marks.young, totals: totalsOf(survey, condemned) };
}

function condemn(survey: Survey, { kept }: Marks, cutoff: number): Condemned {
  const { narInfos, nars, listings } = survey;
  const gone = new Uint8Array(narInfos.length);
  const named = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++) {
    if (!kept[number] && !narInfos.vanished[number]) gone[number] = 1;
    const nar = narInfos.nar[number]!;
    if (nar >= 0) named[nar] = 1;
  }
  return {
    narInfos: gone,
    listings: numbersWhere(listings.length, (number) => {
      const owner = narInfos.hashParts.find(listings.hashParts.at(number));
      return owner >= 0 ? gone[owner] === 1 : listings.modified[number]! < cutoff;
    }),
    belongings: condemnedBelongings(survey, kept, cutoff),
    nars: numbersWhere(nars.length, (number) => !named[number] && nars.modified[number]! < cutoff),
  };
}

/** What belongs to something that stays, stays; so does what is young, or what nobody can say what it belongs to. */
function condemnedBelongings({ narInfos, nars, belongings }: Survey, kept: Uint8Array, cutoff: number): Int32Array {
  const stays = new Uint8Array(belongings.length);
  const { owners, narOwners } = belongings;
  for (let at = 0; at < owners.length; at += 2) if (owners[at]! >= 0 && kept[owners[at]!]) stays[owners[at + 1]!] = 1;
  const keptNars = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++) {
    if (kept[number] && narInfos.nar[number]! >= 0) keptNars[narInfos.nar[number]!] = 1;
  }
  for (let at = 0; at < narOwners.length; at += 2) {
    if (narOwners[at]! >= 0 && keptNars[narOwners[at]!]) stays[narOwners[at + 1]!] = 1;
  }
  return numbersWhere(
    belongings.length,
    (number) => !stays[number] && !belongings.isUnknown[number] && belongings.modified[number]! < cutoff,
  );
}

function numbersWhere(length: number, test: (number: number) => boolean): Int32Array {
  const found = growing(integers);
  for (let number = 0; number < length; number++) if (test(number)) found.push(number);
  return found.array().slice(0, found.length);
}

function totalsOf(survey: Survey, condemned: Condemned): GcTotals {
  const { narInfos, nars, listings, belongings } = survey;
  const sum = (sizes: Float64Array, numbers: Int32Array) => {
    let bytes = 0;
    for (const number of numbers) bytes += sizes[number]!;
    return bytes;
  };
  const gone = numbersWhere(narInfos.length, (number) => condemned.narInfos[number] === 1);
  const stays = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++) {
    if (!condemned.narInfos[number] && narInfos.nar[number]! >= 0) stays[narInfos.nar[number]!] = 1;
  }
  const later = new Uint8Array(nars.length);
  for (const number of gone) {
    const nar = narInfos.nar[number]!;
    if (nar >= 0 && !stays[nar]) later[nar] = 1;
  }
  const removedBytes =
    sum(narInfos.size, gone) +
    sum(listings.size, condemned.listings) +
    sum(belongings.size, condemned.belongings) +
    sum(nars.size, condemned.nars);
  const laterBytes = sum(
    nars.size,
    numbersWhere(nars.length, (number) => later[number] === 1),
  );
  let total = 0;
  for (const { size, length } of [narInfos, listings, belongings, nars]) {
    for (let number = 0; number < length; number++) total += size[number]!;
  }
  return {
    paths: narInfos.length,
    removedPaths: gone.length,
    removedObjects: gone.length + condemned.listings.length + condemned.belongings.length + condemned.nars.length,
    removedBytes,
    laterBytes,
    keptBytes: total - removedBytes - laterBytes,
  };
}
