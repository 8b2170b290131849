/** Makes a release of another, hidden until it is whole. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, type ErrorCode } from '../../lib/errors.js';
import type { StoredDocument } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { FRAGMENT_LIMITS, type Fragment, type Promotion, toReleaseTime } from '../documents/kinds.js';
import { readIntent, removeIntent, writeIntent } from '../intents.js';
import { FRAGMENTS, fileKey, fragmentKey } from '../layout.js';
import { findFragment, putFragment } from '../put/fragment.js';
import { hasBytes } from '../put/stored-hash.js';
import { type Candidate, candidateOf, filesOf, type ReleaseFile, releaseFiles, yankOf } from '../sources/candidate.js';
import { type Found, type ReleaseSources, readSources, trusted } from '../sources/sources.js';
import { type RemovableStore, removeTombstones } from '../tombstones.js';
import type { Verdict } from './gates/gate.js';

/** How far a promotion has come: of `abandoned` the new version was begun of another release. */
export type PromotionState = 'new' | 'begun' | 'done' | 'abandoned';

export interface PromotionRequest {
  readonly candidate: Candidate;
  readonly version: string;
  readonly state: Exclude<PromotionState, 'done'>;
  /** Remove what an unfinished promotion has left. */
  readonly discard: boolean;
  /** Those that were passed. */
  readonly gates: readonly Verdict[];
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  readonly now: Date;
}

export interface PromotedFile extends ReleaseFile {
  readonly state: 'copied' | 'unchanged';
}

/** Files that are copied at a time: each is read once more. */
const AT_ONCE = 4;

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
      // One that ended meanwhile has been seen in part, and its mark has not: the next look finds it done.
      if (looks === LOOKS) throw error;
    }
  }
}

/**
 * What there is of `version`, and whether it may be made of the candidate. Throws `E_USAGE` where another release has the
 * name: none is ever overwritten.
 */
export function promotionState(candidate: Candidate, version: string, sources: ReleaseSources): PromotionState {
  const mark = trusted(sources.promotions)[0];
  if (sources.prunings.some(({ value }) => value.deleting)) {
    throw beingRemoved(version);
  }
  if (mark) return mark.from === candidate.version ? 'begun' : 'abandoned';
  const isEmpty = releaseFiles(sources).length === 0 && sources.fragments.length === 0 && !hasDamage(sources);
  if (isEmpty) return 'new';
  const fault = faultOf(candidate, version, sources);
  if (fault !== undefined) throw taken(version, fault);
  // Promoted, and then pruned: it is to stay.
  return sources.prunings.length === 0 ? 'done' : 'begun';
}

/** The mark of a promotion to a version that was not finished, if there is one. */
export function unfinishedPromotion(sources: ReleaseSources): Promotion | undefined {
  return trusted(sources.promotions)[0];
}

/**
 * Makes a release of another: the same bytes, copied within the store. A mark hides it from the index until all of it is
 * there, was read again, and is signed; whoever is killed runs it again. Of two that make the same version of different
 * releases one stops: each looks for its own mark before it copies. Somebody who publishes files of the version himself
 * comes first: what was copied is taken back. Throws `E_INTEGRITY` when what was copied is not what was signed, and leaves
 * the mark.
 */
export async function promoteRelease(
  objects: ObjectStore,
  request: PromotionRequest,
): Promise<readonly PromotedFile[]> {
  const { version, policy, discard } = request;
  const store = requireWritable(objects);
  if (discard) await discardPromotion(store, version, policy);
  else await refuseOtherMark(store, request);
  const made: Made = { files: new Set(), fragments: new Set() };
  try {
    return await makeRelease(store, request, made);
  } catch (error) {
    if (isFinal(error)) await takeBack(store, request, made);
    throw error;
  }
}

/**
 * Removes what an unfinished promotion to a version has left, and its mark; says whether there was one, or one that was
 * `from` this release. Throws `E_USAGE` when somebody has published files of the version himself: these stay.
 */
export async function discardPromotion(
  objects: ObjectStore,
  version: string,
  policy: TrustPolicy,
  from?: string,
): Promise<boolean> {
  const store = requireWritable(objects);
  const mark = await readIntent(store, version, policy);
  if (mark.state !== 'trusted' || (from ?? mark.value.from) !== mark.value.from) return false;
  const there = await readSources(store, policy, version);
  const others = otherFragments(mark.value.from, there);
  const kept = new Set([...others.map(({ key }) => key), ...keysOfFragments(version, others)]);
  const fragments = [...there.fragments.map(({ key }) => key), ...there.damaged.filter(isFragmentKey)];
  await store.remove(fragments.filter((key) => !kept.has(key)));
  await store.remove(there.files.map(({ key }) => key).filter((key) => !kept.has(key)));
  await removeIntent(store, version);
  if (others[0]) throw ofAnother(version, others[0].key);
  return true;
}

type WritableStore = RemovableStore & Required<Pick<ObjectStore, 'copy'>>;

/** Keys of what a run has written. */
interface Made {
  readonly files: Set<string>;
  readonly fragments: Set<string>;
}

function requireWritable(objects: ObjectStore): WritableStore {
  if (objects.copy && objects.remove) return objects as WritableStore;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, where nothing can be copied`, {
    hint: "use the bucket's `s3://` or `file://` URL",
  });
}

async function makeRelease(
  store: WritableStore,
  request: PromotionRequest,
  made: Made,
): Promise<readonly PromotedFile[]> {
  const { candidate, version, policy } = request;
  await writeMark(store, request);
  const there = await readSources(store, policy, version);
  await refuseOthers(store, request, there);
  await refuseChange(store, request);
  await removeTombstones(store, [version]);
  const files = filesOf(version, candidate.fragments);
  const states = await mapAtMost(AT_ONCE, files, (file) => copyFile(store, request, file, made));
  await writeFragments(store, request, trusted(there.fragments), made);
  await requireMark(store, request);
  const whole = await readSources(store, policy, version);
  const [other] = otherFragments(candidate.version, whole);
  if (other) throw ofAnother(version, other.key);
  const fault = faultOf(candidate, version, whole);
  if (fault !== undefined) throw notWhole(version, fault);
  await removeIntent(store, version);
  return files.map((file, index) => ({ ...file, state: states[index]! }));
}

/** Whether there was nothing of the promotion before this run. */
function isFresh({ state, discard }: PromotionRequest): boolean {
  return state === 'new' || discard;
}

/** Whether to run it again would not help: another release has the name, or the source is not what it was. */
function isFinal(error: unknown): boolean {
  const codes: readonly ErrorCode[] = ['E_USAGE', 'E_GATE', 'E_NOT_FOUND', 'E_SIGNATURE', 'E_UNSUPPORTED'];
  return error instanceof CarportError && codes.includes(error.code);
}

/**
 * Frees the version: what was made of the candidate goes, then the mark, unless it is another's. What an earlier run has
 * made goes only where somebody else has published files: there the promotion cannot be finished any more.
 */
async function takeBack(store: WritableStore, request: PromotionRequest, made: Made): Promise<void> {
  const { candidate, version, policy } = request;
  const there = await readSources(store, policy, version);
  const others = otherFragments(candidate.version, there);
  const fresh = isFresh(request);
  if (!fresh && others.length === 0) return;
  const ours = there.fragments.filter(({ key, trusted }) => trusted && (!fresh || made.fragments.has(key)));
  await store.remove(ours.filter((found) => !others.includes(found)).map(({ key }) => key));
  const kept = new Set(keysOfFragments(version, others));
  const copies = filesOf(version, candidate.fragments).filter(
    ({ key }) => !kept.has(key) && (!fresh || made.files.has(key)),
  );
  const right = await mapAtMost(AT_ONCE, copies, (file) => hasBytes(store, file.key, file));
  await store.remove(copies.filter((_, index) => right[index]).map(({ key }) => key));
  const mark = await readIntent(store, version, policy);
  if (mark.state === 'trusted' && mark.value.from === candidate.version) await removeIntent(store, version);
}

async function writeMark(store: WritableStore, { candidate, version, keys, now }: PromotionRequest): Promise<void> {
  await writeIntent(store, { version, from: candidate.version, time: toReleaseTime(now) }, keys);
}

/** Another promotion may have written its own mark in the meantime. */
async function refuseOtherMark(
  store: WritableStore,
  { candidate, version, policy }: PromotionRequest,
): Promise<StoredDocument<Promotion>> {
  const mark = await readIntent(store, version, policy);
  if (mark.state !== 'trusted' || mark.value.from === candidate.version) return mark;
  throw taken(version, `it is being made of \`${mark.value.from}\` at this moment`);
}

/**
 * Looks for its own mark. Where there is none any more, another run has finished the same promotion; or one that could not
 * know of this one has written its own, and has taken that back.
 */
async function requireMark(store: WritableStore, request: PromotionRequest): Promise<void> {
  const { candidate, version, policy } = request;
  const mark = await refuseOtherMark(store, request);
  if (mark.state === 'trusted') return;
  const isDone = faultOf(candidate, version, await readSources(store, policy, version)) === undefined;
  if (!isDone) await writeMark(store, request);
}

/** Somebody may have come before the mark was there. */
async function refuseOthers(store: WritableStore, request: PromotionRequest, there: ReleaseSources): Promise<void> {
  await requireMark(store, request);
  const { candidate, version } = request;
  if (there.prunings.some(({ value }) => value.deleting)) throw beingRemoved(version);
  const [fragment] = otherFragments(candidate.version, there);
  const files = otherFiles(candidate, version, there);
  const exchanged = isFresh(request) ? await otherBytes(store, candidate, version, there) : [];
  const other = fragment?.key ?? files[0] ?? exchanged[0];
  if (other === undefined) return;
  const hint = `if nobody else is at work there, run this again with \`--discard\`, which removes what is below \`${version}\``;
  throw ofAnother(version, other, isFresh(request) || fragment ? undefined : hint);
}

/** Gates may take hours. From here on nobody who looks for marks removes the source. */
async function refuseChange(store: WritableStore, { candidate, policy }: PromotionRequest): Promise<void> {
  const { version, fragments } = candidate;
  const now = candidateOf(version, await readSources(store, policy, version));
  const yank = yankOf(now);
  const isSame = JSON.stringify(now.fragments) === JSON.stringify(fragments);
  if (yank === undefined && isSame) return;
  throw new CarportError('E_GATE', `\`${version}\` has changed since the gates were asked`, {
    cause: new Error(yank ?? 'something else is published of it'),
    hint: 'nothing was promoted: run it again, which asks them again',
  });
}

/** Fragments that are believed, and are not of the promotion. */
function otherFragments(from: string, { fragments }: ReleaseSources): readonly Found<Fragment>[] {
  return fragments.filter((found) => found.trusted && found.value.promotion?.from !== from);
}

/** Keys of the files that fragments tell of. */
function keysOfFragments(version: string, fragments: readonly Found<Fragment>[]): readonly string[] {
  return filesOf(
    version,
    fragments.map(({ value }) => value),
  ).map(({ key }) => key);
}

/** Keys of files that a promotion does not make. */
function otherFiles(candidate: Candidate, version: string, sources: ReleaseSources): readonly string[] {
  const wanted = new Set(filesOf(version, candidate.fragments).map(({ key }) => key));
  return releaseFiles(sources).filter((key) => !wanted.has(key));
}

async function otherBytes(
  store: WritableStore,
  candidate: Candidate,
  version: string,
  sources: ReleaseSources,
): Promise<readonly string[]> {
  const there = new Set(sources.files.map(({ key }) => key));
  const files = filesOf(version, candidate.fragments).filter(({ key }) => there.has(key));
  const right = await mapAtMost(AT_ONCE, files, (file) => hasBytes(store, file.key, file));
  return files.filter((_, index) => !right[index]).map(({ key }) => key);
}

async function copyFile(
  store: WritableStore,
  request: PromotionRequest,
  file: ReleaseFile,
  made: Made,
): Promise<PromotedFile['state']> {
  const { candidate, version } = request;
  await requireMark(store, request);
  if ((await store.size(file.key)) !== undefined) {
    if (await hasBytes(store, file.key, file)) return 'unchanged';
    // Somebody who had looked for marks before there was one has just put it.
    if (isFresh(request)) throw ofAnother(version, file.key);
  }
  const source = fileKey(candidate.version, file.target, file.name);
  made.files.add(file.key);
  await store.copy(source, file.key);
  if (await hasBytes(store, file.key, file)) return 'copied';
  if (isFresh(request) && (await hasBytes(store, source, file))) throw ofAnother(version, file.key);
  throw new CarportError('E_INTEGRITY', `\`${source}\` has changed since it was signed`, {
    hint: `\`${version}\` stays hidden: publish \`${candidate.version}\` again with \`carport release put --replace\`, and run this again`,
  });
}

/** The time is that of the first run which came so far. */
async function writeFragments(
  store: WritableStore,
  request: PromotionRequest,
  there: readonly Fragment[],
  made: Made,
): Promise<void> {
  const { candidate, version, gates, keys, now, policy } = request;
  const time = there.map((fragment) => fragment.time).sort()[0] ?? toReleaseTime(now);
  const promotion = {
    from: candidate.version,
    gates: gates.map(({ gate, detail }) => ({ gate, detail: detail.slice(0, FRAGMENT_LIMITS.text) })),
  };
  await requireMark(store, request);
  for (const fragment of candidate.fragments) {
    if (there.some((each) => isPromoted(each, fragment))) continue;
    // How its bytes came about stays true.
    const promoted = { ...fragment, version, time, changed: time, promotion };
    const key = fragmentKey(version, fragment.target);
    const before = await findFragment(store, version, fragment.target, policy);
    if (before.state === 'trusted' && before.value.promotion?.from !== candidate.version) throw ofAnother(version, key);
    made.fragments.add(key);
    await putFragment(store, promoted, keys);
  }
}

function isPromoted(fragment: Fragment, source: Fragment): boolean {
  const says = ({ target, commit, files }: Fragment) => JSON.stringify({ target, commit, files });
  return fragment.promotion?.from === source.version && says(fragment) === says(source);
}

/** Why what is there is not the candidate under another name, if it is not. */
function faultOf(candidate: Candidate, version: string, sources: ReleaseSources): string | undefined {
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

/** Whether a fragment is there that cannot be read. */
function hasDamage({ damaged }: ReleaseSources): boolean {
  return damaged.some(isFragmentKey);
}

function isFragmentKey(key: string): boolean {
  return key.startsWith(FRAGMENTS);
}

function taken(version: string, why: string, hint = 'no release is overwritten: give another name with `--as`') {
  return new CarportError('E_USAGE', `\`${version}\` is there, and is not the same: ${why}`, { hint });
}

function ofAnother(version: string, key: string, hint?: string): CarportError {
  return taken(version, `\`${key}\` is of another release`, hint);
}

function beingRemoved(version: string): CarportError {
  return taken(version, 'it is being removed', 'wait until `carport release prune --delete` is done');
}

function notWhole(version: string, why: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${version}\` is not what it should be: ${why}`, {
    hint: 'somebody else writes there; it stays hidden: run this again',
  });
}
