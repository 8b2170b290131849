/** Publishes files of one target: what is there already, what is refused, in which order. */

import { rm } from 'node:fs/promises';
import { CarportError } from '../../lib/errors.js';
import type { ObjectMetadata, ObjectStore } from '../../lib/object-store/object-store.js';
import { FRAGMENT_LIMITS, type Fragment, type FragmentFile, toReleaseTime } from '../documents/kinds.js';
import { fileKey, fragmentKey } from '../layout.js';
import { type FragmentSigning, hasFiles, isSameFile, readFragment, writeFragment } from './fragment.js';
import { type FileDigest, readLocalFile, storePathOfFile } from './local-file.js';
import { mediaTypeOf } from './media-type.js';
import { type Publisher, refuseDeletion, refusePromotion, takeBackPruning } from './publisher.js';
import { digestOfObject } from './stored-hash.js';

export interface PutRequest {
  readonly version: string;
  readonly target: string;
  readonly commit: string | null;
  readonly ci: Fragment['ci'];
  /** Their names differ. */
  readonly files: readonly FileToPut[];
  /** What it is now, as documents have it. */
  readonly time: string;
  /** Put them whatever is there. */
  readonly replace: boolean;
  /** Change nothing. */
  readonly dryRun: boolean;
  /** In place of what a file's name says. */
  readonly contentType?: string;
  readonly cacheControl: string;
  warn(message: string): void;
}

export interface FileToPut {
  readonly path: string;
  readonly name: string;
}

/** What has become of a file, or would. */
export interface PutFile extends FileDigest {
  readonly name: string;
  readonly key: string;
  readonly state: 'uploaded' | 'unchanged';
}

/** A file that was read, and what the fragment is to say of it. */
interface ReadFile extends PutFile {
  /** What was read is here, unless nothing is to be uploaded. */
  readonly copy?: string;
  readonly entry: FragmentFile;
}

/** What is at a key already. */
type Comparison =
  | { readonly state: 'absent' | 'same' }
  | { readonly state: 'other'; readonly there: { readonly size: number; readonly sha256?: string } };

/**
 * Publishes files of one target of a release: the files first, then the fragment that tells of them. Files that are there
 * with the same bytes are left alone; other bytes are refused before anything is uploaded. So the same request again does
 * what is left of one that was stopped, and nothing when all is done. At its end all of it is there, and nothing hides it
 * but what came later.
 */
export async function putRelease(
  objects: ObjectStore,
  request: PutRequest,
  signing: FragmentSigning,
): Promise<readonly PutFile[]> {
  const { version, replace, warn } = request;
  const publisher = { objects, version, replace, warn, policy: signing.policy };
  await refusePromotion(publisher, false);
  await refuseDeletion(publisher);
  const there = await believedFragment(objects, request, signing, warn);
  refuseMovedTag(there, request);
  const copies: string[] = [];
  const files: ReadFile[] = [];
  try {
    for (const file of request.files) {
      const copy = request.dryRun ? undefined : await objects.spoolName();
      if (copy !== undefined) copies.push(copy);
      files.push(await readFile(objects, request, there, file, copy));
    }
    if (!hasAll(there, request, files)) refuseAddition(there, request);
    if (!request.dryRun) await publish(objects, request, signing, there, files, publisher);
  } finally {
    for (const copy of copies) await rm(copy, { force: true });
  }
  return files.map(({ name, key, size, sha256, state }) => ({ name, key, size, sha256, state }));
}

/** Reads a file, and finds out what is to be done with it. Throws when other bytes have its place. */
async function readFile(
  objects: ObjectStore,
  { version, target, replace }: PutRequest,
  there: Fragment | undefined,
  { path, name }: FileToPut,
  copy: string | undefined,
): Promise<ReadFile> {
  const digest = await readLocalFile(path, copy);
  if (digest.size === 0) {
    throw new CarportError('E_USAGE', `\`${path}\` is empty`, {
      hint: 'check what has made it: an empty file is no build',
    });
  }
  const key = fileKey(version, target, name);
  const entry = { name, ...digest, storePath: (await storePathOfFile(path)) ?? null };
  const isThere = !replace && (await isPublished(objects, key, there, entry));
  const state = isThere ? 'unchanged' : 'uploaded';
  return { name, key, ...digest, state, entry, ...(copy !== undefined && { copy }) };
}

/** Whether these very bytes are there. Throws when others are. */
async function isPublished(
  objects: ObjectStore,
  key: string,
  there: Fragment | undefined,
  entry: FragmentFile,
): Promise<boolean> {
  const found = await compare(objects, key, recordOf(there, entry.name), entry);
  if (found.state === 'other') throw otherBytes(key, found.there, entry);
  return found.state === 'same';
}

/** What is on record is believed but for the size. */
async function compare(
  objects: ObjectStore,
  key: string,
  recorded: FragmentFile | undefined,
  file: FragmentFile,
): Promise<Comparison> {
  if (recorded && !isSameFile(recorded, file)) return { state: 'other', there: recorded };
  const size = (await objects.stat(key))?.size;
  if (size === undefined) return { state: 'absent' };
  if (recorded) return { state: size === file.size ? 'same' : 'absent' };
  if (size !== file.size) return { state: 'other', there: { size } };
  const found = await digestOfObject(objects, key);
  if (!found) return { state: 'absent' };
  return found.sha256 === file.sha256 ? { state: 'same' } : { state: 'other', there: found };
}

async function publish(
  objects: ObjectStore,
  request: PutRequest,
  signing: FragmentSigning,
  there: Fragment | undefined,
  files: readonly ReadFile[],
  publisher: Publisher,
): Promise<void> {
  const read = () => believedFragment(objects, request, signing, () => undefined);
  for (const { key, name, size, copy, state, entry } of files) {
    if (state === 'unchanged') continue;
    // Others may have been faster since it was looked for.
    await refusePromotion(publisher, true);
    if (!request.replace) await isPublished(objects, key, await read(), entry);
    await objects.put(key, { path: copy!, size }, metadataOf(name, request));
  }
  const lost = new Set<ReadFile>();
  const entries = entriesOf(files);
  const write = () => {
    const merge = async (now: Fragment | undefined) => {
      if (!hasAll(now, request, files)) refuseAddition(now, request);
      for (const file of await lostRaces(objects, there, now, files)) lost.add(file);
      return mergeFragment(now, request, entries);
    };
    return writeFragment(objects, signing, read, merge, entries);
  };
  if (!hasAll(there, request, files)) await write();
  await refusePromotion(publisher, true);
  await takeBackPruning(publisher, write);
  await requireThere(objects, [fragmentKey(request.version, request.target), ...files.map(({ key }) => key)]);
  for (const { key } of lost) tellLostRace(key, request);
}

/** Whether a fragment says all that the request would have it say. */
function hasAll(there: Fragment | undefined, request: PutRequest, files: readonly ReadFile[]): there is Fragment {
  return hasFiles(there, entriesOf(files)) && !isOfOtherCommit(there, request);
}

/** The fragment with these files, which stand before those of the same names. */
function mergeFragment(there: Fragment | undefined, request: PutRequest, entries: readonly FragmentFile[]): Fragment {
  const { version, target, commit, time, ci, warn } = request;
  const changed = there === undefined ? time : newerThan(there.changed, time);
  const isOther = isOfOtherCommit(there, request);
  if (there && !isOther && hasFiles(there, entries)) return { ...there, changed };
  const others = (there?.files ?? []).filter(({ name }) => !entries.some((entry) => entry.name === name));
  if (isOther)
    for (const { name } of others)
      warn(`\`${fileKey(version, target, name)}\` is of another commit: it is not on record any more`);
  const files = [...(isOther ? [] : others), ...entries].sort((a, b) => (a.name < b.name ? -1 : 1));
  if (files.length > FRAGMENT_LIMITS.files) {
    throw new CarportError('E_USAGE', `a target of a release has at most ${FRAGMENT_LIMITS.files} files`, {
      hint: 'publish an archive of them',
    });
  }
  const replaces = entries.some((entry) => {
    const before = recordOf(there, entry.name);
    return before !== undefined && !isSameFile(before, entry);
  });
  return {
    ...{ version, target, commit: commit ?? there?.commit ?? null },
    // With other bytes it is another release.
    ...{ time: there !== undefined && !isOther && !replaces ? there.time : changed, changed },
    ...{ ci, files, promotion: null },
  };
}

/** Clocks differ, and who deletes sees by this time that a fragment was written. */
function newerThan(before: string, time: string): string {
  return time > before ? time : toReleaseTime(new Date(Date.parse(before) + 1000));
}

/** With `--replace`, what cannot be believed is as good as not there. What is signed here must have been signed before. */
async function believedFragment(
  objects: ObjectStore,
  { version, target, replace }: PutRequest,
  { policy, keys }: FragmentSigning,
  warn: (message: string) => void,
): Promise<Fragment | undefined> {
  const allowUnsigned = policy.allowUnsigned && keys.length === 0;
  try {
    return await readFragment(objects, version, target, { ...policy, allowUnsigned });
  } catch (error) {
    const isDoubt = error instanceof CarportError && ['E_SIGNATURE', 'E_FORMAT'].includes(error.code);
    if (!isDoubt || !replace) throw error;
    warn(`${error.message}: it is written anew`);
    return undefined;
  }
}

/** A tag that was moved: its files would be of two commits. */
function refuseMovedTag(there: Fragment | undefined, request: PutRequest): void {
  if (!isOfOtherCommit(there, request) || request.replace) return;
  const { version, target, commit } = request;
  throw new CarportError('E_USAGE', `\`${version}\` is published for \`${target}\` from another commit`, {
    cause: new Error(`it is of ${there!.commit}, and this build of ${commit}`),
    hint: 'the tag was moved: publish this build under another, or put it in the place of that one with `--replace`',
  });
}

function isOfOtherCommit(there: Fragment | undefined, { commit }: PutRequest): boolean {
  return commit !== null && (there?.commit ?? commit) !== commit;
}

/** What the gates of a promotion have not seen does not become a part of what they let pass. */
function refuseAddition(there: Fragment | undefined, request: PutRequest): void {
  refuseMovedTag(there, request);
  if (!there?.promotion || request.replace) return;
  throw new CarportError(
    'E_USAGE',
    `\`${there.version}\` was promoted: it has the files of \`${there.promotion.from}\``,
    {
      hint: 'publish under another version, or, with `--replace`, make it one that was not promoted',
    },
  );
}

/**
 * Files that another job has published with other bytes since they were looked for, and whose objects are those of this
 * one: what is on record must be what is there. Throws when the other's are there.
 */
async function lostRaces(
  objects: ObjectStore,
  before: Fragment | undefined,
  now: Fragment | undefined,
  files: readonly ReadFile[],
): Promise<readonly ReadFile[]> {
  const lost: ReadFile[] = [];
  for (const file of files) {
    const { key, entry } = file;
    const [old, recorded] = [recordOf(before, entry.name), recordOf(now, entry.name)];
    if (!recorded || isSameFile(recorded, entry) || (old && isSameFile(old, recorded))) continue;
    const found = await digestOfObject(objects, key);
    if (found?.sha256 !== entry.sha256) throw otherBytes(key, recorded, entry);
    lost.push(file);
  }
  return lost;
}

function tellLostRace(key: string, { replace, warn }: PutRequest): void {
  const message = `another job has published other bytes as \`${key}\` at the same time: these are there now`;
  if (!replace) {
    throw new CarportError('E_INTEGRITY', message, {
      hint: 'find out which of the two is right, and put that with `--replace`',
    });
  }
  warn(message);
}

/** Somebody may have removed it meanwhile. */
async function requireThere(objects: ObjectStore, keys: readonly string[]): Promise<void> {
  const sizes = await Promise.all(keys.map((key) => objects.stat(key)));
  const gone = keys.find((_, index) => sizes[index] === undefined);
  if (gone === undefined) return;
  throw new CarportError('E_UNAVAILABLE', `\`${gone}\` was removed at the same time`, { hint: 'run it again' });
}

function otherBytes(
  key: string,
  there: { readonly size: number; readonly sha256?: string },
  { sha256, size }: FileDigest,
): CarportError {
  const was = there.sha256 === undefined ? '' : `sha256 ${there.sha256}, `;
  return new CarportError('E_INTEGRITY', `\`${key}\` is published with other bytes`, {
    cause: new Error(`published: ${was}${there.size} bytes; this file: sha256 ${sha256}, ${size} bytes`),
    hint: 'what is published does not change: take another version, or put these in their place with `--replace`',
  });
}

function metadataOf(name: string, { contentType, cacheControl }: PutRequest): ObjectMetadata {
  return {
    ...{ contentType: contentType ?? mediaTypeOf(name), cacheControl },
    // Nobody's page is to run where the releases are.
    contentDisposition: `attachment; filename="${name}"`,
  };
}

function entriesOf(files: readonly ReadFile[]): readonly FragmentFile[] {
  return files.map(({ entry }) => entry);
}

function recordOf(fragment: Fragment | undefined, wanted: string): FragmentFile | undefined {
  return fragment?.files.find(({ name }) => name === wanted);
}
