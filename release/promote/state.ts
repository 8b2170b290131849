/** How far a promotion has come: what there is of the version that is made, and what of it is somebody else's. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Fragment, Promotion } from '../documents/kinds.js';
import { FRAGMENTS } from '../layout.js';
import { type Candidate, filesOf, releaseFiles } from '../sources/candidate.js';
import type { Found } from '../sources/judged.js';
import { type ReleaseSources, readSources, trusted } from '../sources/sources.js';

/** How far a promotion has come: of `abandoned` the new version was begun of another release. */
export type PromotionState = 'new' | 'begun' | 'done' | 'abandoned';

/** How often it is looked before a version is said to be another's. */
const LOOKS = 3;

/** Reads what there is of `version`, and says how far a promotion has come, as `promotionState` does. */
export async function lookAtVersion(
  objects: ObjectStore,
  candidate: Candidate,
  version: string,
  policy: TrustPolicy,
): Promise<{ readonly state: PromotionState; readonly sources: ReleaseSources }> {
  for (let looks = 1; ; looks++) {
    const sources = await readSources(objects, policy, version);
    try {
      return { state: promotionState(candidate, version, sources), sources };
    } catch (error) {
      // One that ended meanwhile has been seen in part, and its intent has not: the next look finds it done.
      if (looks === LOOKS) throw error;
    }
  }
}

/**
 * What there is of `version`, and whether it may be made of the candidate. Throws `E_USAGE` where another release has the
 * name: none is ever overwritten.
 */
export function promotionState(candidate: Candidate, version: string, sources: ReleaseSources): PromotionState {
  const intent = trusted(sources.promotions)[0];
  if (sources.prunings.some(({ value }) => value.deleting)) {
    throw beingRemoved(version);
  }
  if (intent) return intent.from === candidate.version ? 'begun' : 'abandoned';
  const isEmpty = releaseFiles(sources).length === 0 && sources.fragments.length === 0 && !hasDamage(sources);
  if (isEmpty) return 'new';
  const fault = faultOf(candidate, version, sources);
  if (fault !== undefined) throw taken(version, fault);
  // Promoted, and then pruned: it is to stay.
  return sources.prunings.length === 0 ? 'done' : 'begun';
}

/** The intent of a promotion to a version that was not finished, if there is one. */
export function unfinishedPromotion(sources: ReleaseSources): Promotion | undefined {
  return trusted(sources.promotions)[0];
}

/** Why what is there is not the candidate under another name, if it is not. */
export function faultOf(candidate: Candidate, version: string, sources: ReleaseSources): string | undefined {
  const fragments = trusted(sources.fragments);
  if (fragments.length < sources.fragments.length || hasDamage(sources)) return 'not all of it is signed';
  const others = otherFragments(candidate.version, sources).map(({ key }) => key);
  const [other] = [...otherFiles(candidate, version, sources), ...others];
  if (other !== undefined) return `\`${other}\` is of another release`;
  const missing = candidate.fragments.find((source) => !fragments.some((each) => isPromoted(each, source)));
  if (missing) return `its files for \`${missing.target}\` are others than those of \`${candidate.version}\``;
  if (fragments.length > candidate.fragments.length) return `it has targets that \`${candidate.version}\` has not`;
  const sizes = new Map(sources.files.map(({ key, size }) => [key, size]));
  const absent = filesOf(version, fragments).find(({ key, size }) => sizes.get(key) !== size);
  return absent && `\`${absent.key}\` is missing, or not in its size`;
}

/** Whether a fragment is that of the source, promoted. */
export function isPromoted(fragment: Fragment, source: Fragment): boolean {
  const says = ({ target, commit, files }: Fragment) => JSON.stringify({ target, commit, files });
  return fragment.promotion?.from === source.version && says(fragment) === says(source);
}

/** Fragments that are believed, and are not of the promotion. */
export function otherFragments(from: string, { fragments }: ReleaseSources): readonly Found<Fragment>[] {
  return fragments.filter((found) => found.trusted && found.value.promotion?.from !== from);
}

/** Keys of files that a promotion does not make. */
export function otherFiles(candidate: Candidate, version: string, sources: ReleaseSources): readonly string[] {
  const wanted = new Set(filesOf(version, candidate.fragments).map(({ key }) => key));
  return releaseFiles(sources).filter((key) => !wanted.has(key));
}

/** Keys of the files that fragments tell of. */
export function keysOfFragments(version: string, fragments: readonly Found<Fragment>[]): readonly string[] {
  return filesOf(
    version,
    fragments.map(({ value }) => value),
  ).map(({ key }) => key);
}

/** Whether a fragment is there that cannot be read. */
function hasDamage({ damaged }: ReleaseSources): boolean {
  return damaged.some(isFragmentKey);
}

/** Whether a key is that of a fragment. */
export function isFragmentKey(key: string): boolean {
  return key.startsWith(FRAGMENTS);
}

/** The error of a version that is there, and cannot be made of the candidate. */
export function taken(version: string, why: string, hint = 'no release is overwritten: give another name with `--as`') {
  return new CarportError('E_USAGE', `\`${version}\` is there, and is not the same: ${why}`, { hint });
}

/** The error of a version of which an object is of another release. */
export function ofAnother(version: string, key: string, hint?: string): CarportError {
  return taken(version, `\`${key}\` is of another release`, hint);
}

/** The error of a version that `release prune` deletes just now. */
export function beingRemoved(version: string): CarportError {
  return taken(version, 'it is being removed', 'wait until `carport release prune --delete` is done');
}
