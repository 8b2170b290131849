import pLimit from 'p-limit';
import type { ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import type { SecretKey } from '../lib/signing/key.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { type Candidate, filesOf, type ReleaseFile, releaseFiles } from './candidate.js';
import { FRAGMENT, FRAGMENT_LIMITS, type Fragment, PROMOTION, type Promotion, toReleaseTime } from './documents.js';
import type { Verdict } from './gates/gate.js';
import { FRAGMENTS, fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey } from './layout.js';
import { renderDocument } from './signed-document.js';
import { doubtAbout, type ReleaseSources, readDocument, readSources, trusted } from './sources.js';
import { hasBytes } from './stored-hash.js';

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

/** Changes, as pins do. */
const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

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
    throw taken(version, 'it is being removed', 'wait until `carport release prune --delete` is done');
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
 * releases one stops: each looks for its own mark before it copies. Throws `E_INTEGRITY` when what was copied is not what
 * was signed, and leaves the mark.
 */
export async function promoteRelease(
  objects: ObjectStore,
  request: PromotionRequest,
): Promise<readonly PromotedFile[]> {
  const { candidate, version, policy } = request;
  const store = requireWritable(objects);
  if (request.discard) await removeRelease(store, version);
  await mark(store, request);
  const there = await readSources(store, policy, version);
  await refuseOthers(store, request, there);
  await store.remove([versionKey(PRUNINGS, version)]);
  const sizes = new Map(there.files.map(({ key, size }) => [key, size]));
  const files = filesOf(version, candidate.fragments);
  const states = await pLimit(AT_ONCE).map(files, (file) => copyFile(store, request, file, sizes.has(file.key)));
  await writeFragments(store, request, trusted(there.fragments));
  await requireMark(store, request);
  const fault = faultOf(candidate, version, await readSources(store, policy, version));
  if (fault !== undefined) throw notWhole(version, fault);
  await store.remove([versionKey(PROMOTIONS, version)]);
  return files.map((file, index) => ({ ...file, state: states[index]! }));
}

type WritableStore = ObjectStore & Required<Pick<ObjectStore, 'copy' | 'remove'>>;

function requireWritable(objects: ObjectStore): WritableStore {
  if (objects.copy && objects.remove) return objects as WritableStore;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, where nothing can be copied`, {
    hint: "use the bucket's `s3://` or `file://` URL",
  });
}

/** All that was copied for a promotion that is given up. Its mark stays until another takes its place. */
async function removeRelease(store: WritableStore, version: string): Promise<void> {
  const { files, fragments, damaged } = await readSources(store, { keys: [], allowUnsigned: false }, version);
  await store.remove([...fragments.map(({ key }) => key), ...damaged.filter((key) => key.startsWith(FRAGMENTS))]);
  await store.remove(files.map(({ key }) => key));
}

async function mark(store: WritableStore, request: PromotionRequest): Promise<void> {
  const { candidate, version, keys, now } = request;
  const value = { version, from: candidate.version, time: toReleaseTime(now) };
  await store.put(versionKey(PROMOTIONS, version), Buffer.from(renderDocument(PROMOTION, value, keys)), METADATA);
}

/** Another promotion may have written its own mark in the meantime. That there is none any more says that this one is done. */
async function requireMark(store: WritableStore, { candidate, version, policy }: PromotionRequest): Promise<void> {
  const key = versionKey(PROMOTIONS, version);
  const found = await readDocument(store, PROMOTION, key).catch(ignoreDamage);
  if (!found || doubtAbout(PROMOTION, found, policy) !== undefined || found.value.from === candidate.version) return;
  throw taken(version, `it is being made of \`${found.value.from}\` at this moment`);
}

/**
 * Somebody may have come before the mark was there. A release that is signed is not to be hidden by it; what has files only
 * may be in the making itself, under a mark that this one has replaced.
 */
async function refuseOthers(store: WritableStore, request: PromotionRequest, there: ReleaseSources): Promise<void> {
  await requireMark(store, request);
  const { candidate, version, state } = request;
  const [fragment] = otherFragments(candidate, there);
  if (fragment !== undefined && state === 'new') await store.remove([versionKey(PROMOTIONS, version)]);
  const files = otherFiles(candidate, version, there);
  const exchanged = state === 'new' ? await otherBytes(store, candidate, version, there) : [];
  const other = fragment ?? files[0] ?? exchanged[0];
  if (other === undefined) return;
  const hint = `if nobody else is at work there, run this again with \`--discard\`, which removes what is below \`${version}\``;
  throw taken(version, `\`${other}\` is of another release`, fragment === undefined ? hint : undefined);
}

/** Keys of fragments that are believed, and are not of the promotion. */
function otherFragments(candidate: Candidate, { fragments }: ReleaseSources): readonly string[] {
  return fragments
    .filter((found) => found.trusted && found.value.promotion?.from !== candidate.version)
    .map(({ key }) => key);
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
  const right = await pLimit(AT_ONCE).map(files, (file) => hasBytes(store, file.key, file));
  return files.filter((_, index) => !right[index]).map(({ key }) => key);
}

async function copyFile(
  store: WritableStore,
  request: PromotionRequest,
  file: ReleaseFile,
  isThere: boolean,
): Promise<PromotedFile['state']> {
  if (isThere && (await hasBytes(store, file.key, file))) return 'unchanged';
  await requireMark(store, request);
  const { candidate, version } = request;
  const source = fileKey(candidate.version, file.target, file.name);
  await store.copy(source, file.key);
  if (await hasBytes(store, file.key, file)) return 'copied';
  throw new CarportError('E_INTEGRITY', `\`${source}\` has changed since it was signed`, {
    hint: `\`${version}\` stays hidden: publish \`${candidate.version}\` again with \`carport release put --replace\`, and run this again`,
  });
}

/** The time is that of the first run which came so far. */
async function writeFragments(
  store: WritableStore,
  request: PromotionRequest,
  there: readonly Fragment[],
): Promise<void> {
  const { candidate, version, gates, keys, now } = request;
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
    const text = renderDocument(FRAGMENT, promoted, keys);
    await store.put(fragmentKey(version, fragment.target), Buffer.from(text), METADATA);
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
  const [other] = [...otherFiles(candidate, version, sources), ...otherFragments(candidate, sources)];
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
  return damaged.some((key) => key.startsWith(FRAGMENTS));
}

function taken(version: string, why: string, hint = 'no release is overwritten: give another name with `--as`') {
  return new CarportError('E_USAGE', `\`${version}\` is there, and is not the same: ${why}`, { hint });
}

function notWhole(version: string, why: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${version}\` is not what it should be: ${why}`, {
    hint: 'somebody else writes there; it stays hidden: run this again',
  });
}

function ignoreDamage(error: unknown): undefined {
  if (error instanceof CarportError && error.code === 'E_FORMAT') return undefined;
  throw error;
}
