/** What the columns of a cache tell when all of it is known: what nobody needs, and circles. Pure. */

import type { Survey } from '../../gc/survey.js';
import { listingKey, narInfoKey } from '../../layout.js';
import type { Finding } from '../finding.js';
import { pathsInCycles } from './cycles.js';

/** The numbers of NARs that no narinfo names. */
export function unnamedNars({ narInfos, nars }: Survey): readonly number[] {
  const named = new Uint8Array(nars.length);
  for (let number = 0; number < narInfos.length; number++) {
    const nar = narInfos.nar[number]!;
    if (nar >= 0) named[nar] = 1;
  }
  const found: number[] = [];
  for (let number = 0; number < nars.length; number++) if (!named[number]) found.push(number);
  return found;
}

/** Gives what no narinfo names, where all of them could be read (`isWhole`), and paths that refer to each other in a circle. */
export function* findingsOfSurvey(survey: Survey, isWhole: boolean): Generator<Finding> {
  const { narInfos, nars, listings, belongings, storeDir } = survey;
  for (const number of pathsInCycles(narInfos)) {
    const hashPart = narInfos.hashParts.at(number);
    const path = `${storeDir}/${hashPart}-${narInfos.names.at(number)}`;
    const message = 'it is in a circle of paths that refer to each other, which Nix does not take';
    yield { kind: 'reference-cycle', key: narInfoKey(hashPart), path, message };
  }
  // What cannot be read may name any of them.
  for (const number of isWhole ? unnamedNars(survey) : []) {
    const message = 'no narinfo names this NAR: a push that was stopped has left it, or one is under way';
    yield { kind: 'nar-orphaned', key: nars.keys.at(number), message };
  }
  for (let number = 0; number < listings.length; number++) {
    const hashPart = listings.hashParts.at(number);
    if (narInfos.hashParts.find(hashPart) >= 0) continue;
    yield { kind: 'listing-orphaned', key: listingKey(hashPart), message: 'there is no narinfo to this listing' };
  }
  const owned = new Set<number>();
  for (let at = 1; at < belongings.owners.length; at += 2) owned.add(belongings.owners[at]!);
  for (const number of belongings.strays.keys()) {
    // A log is a stray of its derivation, also where its outputs own it; a stray realisation is told as one that dangles.
    if (belongings.refers[number] || owned.has(number)) continue;
    yield { kind: 'log-orphaned', key: belongings.keys.at(number), message: 'nothing that was built so is there' };
  }
}
