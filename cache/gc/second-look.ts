/** The second listing of a collection: what has come, gone or changed since the first, and so what is spared. */

import { mapAtMost } from '../../lib/concurrency.js';
import type { WriteStore } from '../../lib/object-store/object-store.js';
import { collectedKindOf, narInfoKey } from '../layout.js';
import { PACKED } from './hash-parts.js';
import { markFrom } from './mark.js';
import type { GcPlan } from './plan.js';
import { readFacts } from './read-survey.js';
import { incompleteListing, SKEW_MS } from './roots.js';
import { MD5, type NarInfoFacts, type Survey } from './survey.js';

/** What is there when the sweep was announced and the leases were read. */
export interface SecondLook {
  /** Narinfos that were not there, or are not as they were, and what they say. */
  readonly changed: readonly ChangedNarInfo[];
  /** 1 for each narinfo of the survey that is there, as it was. */
  readonly same: Uint8Array;
  /** 1 for each object of the survey that is there, as it was. */
  readonly sameNars: Uint8Array;
  readonly sameListings: Uint8Array;
  readonly sameBelongings: Uint8Array;
}

/** A narinfo that a push has written meanwhile. */
export interface ChangedNarInfo {
  readonly hashPart: string;
  readonly facts: NarInfoFacts;
}

/** Narinfos that are read at a time. */
const AT_ONCE = 64;

/** Narinfos that are looked for when a listing lacks them. */
const MOST_ASKED = 8;

/** Looks again. Throws `E_INTEGRITY` where one of the listings has lacked something. */
export async function lookAgain(
  objects: WriteStore,
  { survey, condemned }: GcPlan,
  signal: AbortSignal,
): Promise<SecondLook> {
  const { narInfos, nars, listings, belongings } = survey;
  const belongingNumbers = numbersOf(survey);
  const look = {
    same: new Uint8Array(narInfos.length),
    sameNars: new Uint8Array(nars.length),
    sameListings: new Uint8Array(listings.length),
    sameBelongings: new Uint8Array(belongings.length),
  };
  const others: string[] = [];
  const seen = new Uint8Array(narInfos.length);
  for await (const { key, modified, md5 } of objects.list({ recursive: true })) {
    signal.throwIfAborted();
    const of = collectedKindOf(key);
    const time = modified.getTime();
    if (of?.kind === 'path') {
      const number = narInfos.hashParts.find(of.hashPart);
      if (number < 0 && time < survey.time - SKEW_MS) throw incompleteListing(objects.url, key);
      if (number >= 0) seen[number] = 1;
      if (number >= 0 && isSame(survey, number, time, md5)) look.same[number] = 1;
      else others.push(of.hashPart);
    } else if (of?.kind === 'contents') note(look.sameNars, nars.modified, nars.keys.find(key), time);
    else if (of?.kind === 'listing') {
      note(look.sameListings, listings.modified, listings.hashParts.find(of.hashPart), time);
    } else if (of) note(look.sameBelongings, belongings.modified, belongingNumbers.get(key) ?? -1, time);
  }
  await requireGone(objects, survey, seen, condemned.narInfos);
  const read = await mapAtMost(AT_ONCE, others, async (hashPart) => ({
    hashPart,
    facts: await readFacts(objects, hashPart),
  }));
  const changed = read.flatMap(({ hashPart, facts }) => (facts ? [{ hashPart, facts }] : []));
  return { ...look, changed };
}

/** Of logs and their like there are few, beside narinfos. */
function numbersOf({ belongings }: Survey): ReadonlyMap<string, number> {
  const numbers = new Map<string, number>();
  for (let number = 0; number < belongings.length; number++) numbers.set(belongings.keys.at(number), number);
  return numbers;
}

function note(same: Uint8Array, modified: Float64Array, number: number, time: number): void {
  if (number >= 0 && modified[number] === time) same[number] = 1;
}

function isSame({ narInfos }: Survey, number: number, time: number, md5: string | undefined): boolean {
  if (narInfos.vanished[number] || narInfos.modified[number] !== time) return false;
  if (md5 === undefined) return true;
  return Buffer.from(narInfos.md5.subarray(number * MD5, (number + 1) * MD5)).equals(Buffer.from(md5, 'hex'));
}

/** What was to stay and is not listed must be gone, or new again: else this listing may lack others, too. */
async function requireGone(objects: WriteStore, { narInfos, time }: Survey, seen: Uint8Array, condemned: Uint8Array) {
  const asked: string[] = [];
  for (let number = 0; number < narInfos.length && asked.length < MOST_ASKED; number++) {
    if (!seen[number] && !condemned[number] && !narInfos.vanished[number]) {
      asked.push(narInfoKey(narInfos.hashParts.at(number)));
    }
  }
  for (const key of asked) {
    const modified = (await objects.stat(key))?.modified;
    if (modified && modified.getTime() < time - SKEW_MS) throw incompleteListing(objects.url, key);
  }
}

/** From what a path is kept that was to go. */
export interface SpareFrom {
  /** Hash parts of roots as they are now. */
  readonly hashParts: Iterable<string>;
  readonly look: SecondLook;
}

/**
 * What of the condemned narinfos goes all the same: not what is reached from roots, from what was written meanwhile, or from any
 * narinfo that is not condemned. 1 for each.
 */
export function spare({ survey, condemned }: GcPlan, { hashParts, look }: SpareFrom): Uint8Array {
  const { narInfos } = survey;
  // What is not condemned is followed, too: it stays, so what it refers to must.
  const kept = new Uint8Array(narInfos.length);
  const starts = function* () {
    for (const hashPart of hashParts) yield narInfos.hashParts.find(hashPart);
    for (const { hashPart, facts } of look.changed) {
      yield narInfos.hashParts.find(hashPart);
      for (let at = 0; at < facts.references.length; at += PACKED)
        yield narInfos.hashParts.findPacked(facts.references, at);
    }
    for (let number = 0; number < narInfos.length; number++) if (!condemned.narInfos[number]) yield number;
  };
  markFrom(narInfos, kept, starts());
  return condemned.narInfos.map((isCondemned, number) => (isCondemned && !kept[number] ? 1 : 0));
}
