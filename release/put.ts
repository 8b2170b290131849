import { rm } from 'node:fs/promises';
import type { ObjectMetadata, ObjectStore } from '../cache/object-store/object-store.js';
import { CarportError } from '../lib/errors.js';
import { FRAGMENT_LIMITS, type Fragment, type FragmentFile, PROMOTION } from './documents.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey } from './layout.js';
import { digestOf, type FileDigest, readLocalFile, storePathOfFile } from './local-file.js';
import { mediaTypeOf } from './media-type.js';
import { type FragmentSigning, hasFiles, isSameFile, readFragment, writeFragment } from './published-fragment.js';
import { doubtAbout, readDocument } from './sources.js';

export interface PutRequest {
  readonly version: string;
  readonly target: string;
  readonly commit: string | null;
  readonly ci: Fragment['ci'];
  /** Their names differ. */
  readonly files: readonly FileToPut[];
  /** What it is now, as documents have it. */
  readonly time: string;
  /** Put other bytes in the place of what is there. */
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

/**
 * Publishes files of one target of a release: the files first, then the fragment that tells of them. Files that are there
 * with the same bytes are left alone; other bytes are refused before anything is uploaded. So the same request again does
 * what is left of one that was stopped, and nothing when all is done.
 */
export async function putRelease(
  objects: ObjectStore,
  request: PutRequest,
  signing: FragmentSigning,
): Promise<readonly PutFile[]> {
  await refuseUnfinishedPromotion(objects, request, signing);
  const there = await believedFragment(objects, request, signing, request.warn);
  checkCommit(there, request);
  const copies: string[] = [];
  const files: ReadFile[] = [];
  try {
    for (const file of request.files) {
      const copy = request.dryRun ? undefined : await objects.spoolName();
      if (copy !== undefined) copies.push(copy);
      files.push(await readFile(objects, request, there, file, copy));
    }
    if (!hasFiles(there, entriesOf(files)) || isOfOtherCommit(there, request)) checkAddition(there, request);
    if (!request.dryRun) await publish(objects, request, signing, there, files);
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
  const recorded = there?.files.find((each) => each.name === name);
  const isThere = await compare(objects, key, recorded, entry, replace);
  if (isThere instanceof CarportError && !replace) throw isThere;
  const state = isThere === true ? 'unchanged' : 'uploaded';
  return { name, key, ...digest, state, entry, ...(copy !== undefined && { copy }) };
}

/**
 * Whether an object is there with these very bytes; an error when others have its place. What is on record is believed but
 * for the size, unless the object is to be replaced: that also mends one that is damaged.
 */
async function compare(
  objects: ObjectStore,
  key: string,
  recorded: FragmentFile | undefined,
  file: FragmentFile,
  replace: boolean,
): Promise<boolean | CarportError> {
  if (recorded && !replace && !isSameFile(recorded, file)) return otherBytes(key, recorded, file);
  const size = await objects.size(key);
  if (size === undefined || (recorded && !replace)) return size === file.size;
  if (size !== file.size) return otherBytes(key, { size }, file);
  const found = await digestOfObject(objects, key);
  return found !== undefined && (found.sha256 === file.sha256 || otherBytes(key, found, file));
}

async function digestOfObject(objects: ObjectStore, key: string): Promise<FileDigest | undefined> {
  const object = await objects.get(key);
  return object && digestOf(object.bytes());
}

async function publish(
  objects: ObjectStore,
  request: PutRequest,
  signing: FragmentSigning,
  there: Fragment | undefined,
  files: readonly ReadFile[],
): Promise<void> {
  for (const { key, name, size, copy, state } of files) {
    if (state === 'uploaded') await objects.put(key, { path: copy!, size }, metadataOf(name, request));
  }
  const entries = entriesOf(files);
  if (!hasFiles(there, entries) || isOfOtherCommit(there, request)) {
    const read = () => believedFragment(objects, request, signing, () => undefined);
    const merge = async (now: Fragment | undefined) => {
      checkAddition(now, request);
      await refuseLostRace(objects, request, there, now, files);
      return mergeFragment(now, request, entries);
    };
    await writeFragment(objects, signing, read, merge, entries);
  }
  await takeBackPruning(objects, request, files);
}

/** The fragment with these files, which stand before those of the same names. */
function mergeFragment(there: Fragment | undefined, request: PutRequest, entries: readonly FragmentFile[]): Fragment {
  const { version, target, commit, time, ci, warn } = request;
  const isOther = isOfOtherCommit(there, request);
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
    const before = there?.files.find(({ name }) => name === entry.name);
    return before !== undefined && !isSameFile(before, entry);
  });
  // It tells when the release was first published, and by which run; with other bytes it is another.
  const first = there !== undefined && !isOther && !replaces ? there : { time, ci };
  return {
    ...{ version, target, commit: commit ?? there?.commit ?? null, time: first.time, ci: first.ci },
    ...{ files, promotion: null },
  };
}

/** With `--replace`, what cannot be believed is as good as not there. */
async function believedFragment(
  objects: ObjectStore,
  { version, target, replace }: PutRequest,
  { policy }: FragmentSigning,
  warn: (message: string) => void,
): Promise<Fragment | undefined> {
  try {
    return await readFragment(objects, version, target, policy);
  } catch (error) {
    const isDoubt = error instanceof CarportError && ['E_SIGNATURE', 'E_FORMAT'].includes(error.code);
    if (!isDoubt || !replace) throw error;
    warn(`${error.message}: it is written anew`);
    return undefined;
  }
}

/** A tag that was moved: its files would be of two commits. */
function checkCommit(there: Fragment | undefined, request: PutRequest): void {
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
function checkAddition(there: Fragment | undefined, request: PutRequest): void {
  checkCommit(there, request);
  if (!there?.promotion || request.replace) return;
  throw new CarportError(
    'E_USAGE',
    `\`${there.version}\` was promoted: it has the files of \`${there.promotion.from}\``,
    {
      hint: 'publish under another version, or, with `--replace`, make it one that was not promoted',
    },
  );
}

/** Another job has published a file of the same name since it was looked for. What is on record must be what is there. */
async function refuseLostRace(
  objects: ObjectStore,
  { warn }: PutRequest,
  before: Fragment | undefined,
  now: Fragment | undefined,
  files: readonly ReadFile[],
): Promise<void> {
  for (const { key, entry } of files) {
    const [old, recorded] = [before, now].map((fragment) => fragment?.files.find(({ name }) => name === entry.name));
    if (!recorded || isSameFile(recorded, entry) || (old && isSameFile(old, recorded))) continue;
    const found = await digestOfObject(objects, key);
    if (found?.sha256 !== entry.sha256) throw otherBytes(key, recorded, entry);
    warn(`another job has published other bytes as \`${key}\` at the same time: these are there now`);
  }
}

/** A version that is being made of another is not to be seen, and gets its files from there. */
async function refuseUnfinishedPromotion(
  objects: ObjectStore,
  { version, warn }: PutRequest,
  { policy }: FragmentSigning,
): Promise<void> {
  const key = versionKey(PROMOTIONS, version);
  const doubted = (why: string) => warn(`\`${key}\` is not believed: ${why}`);
  const document = await readDocument(objects, PROMOTION, key).catch((error) => {
    if (!(error instanceof CarportError) || error.code !== 'E_FORMAT') throw error;
    doubted(error.message);
    return undefined;
  });
  if (!document) return;
  const { value } = document;
  const doubt = value.version === version ? doubtAbout(PROMOTION, document, policy) : 'it belongs elsewhere';
  if (doubt !== undefined) return doubted(doubt);
  throw new CarportError('E_USAGE', `\`${version}\` is being made of \`${value.from}\`, and that is not done`, {
    hint: `finish it with \`carport release promote ${value.from} --as ${version} --to CHANNEL\``,
  });
}

/** Who publishes a version that is to be deleted wants it back. */
async function takeBackPruning(
  objects: ObjectStore,
  { version, target, warn }: PutRequest,
  files: readonly ReadFile[],
): Promise<void> {
  const key = versionKey(PRUNINGS, version);
  if ((await objects.size(key)) === undefined) return;
  if (!objects.remove) {
    throw new CarportError(
      'E_UNSUPPORTED',
      `\`${version}\` is to be deleted, and \`${objects.url}\` cannot take that back`,
      {
        hint: `publish to the bucket's \`s3://\` URL, which can remove \`${key}\``,
      },
    );
  }
  await objects.remove([key]);
  warn(`\`${version}\` was to be deleted: it stays now`);
  // The deletion may have been under way.
  const wanted = [fragmentKey(version, target), ...files.map((file) => file.key)];
  const sizes = await Promise.all(wanted.map((each) => objects.size(each)));
  if (!sizes.includes(undefined)) return;
  throw new CarportError('E_UNAVAILABLE', `\`${version}\` is being deleted just now`, { hint: 'run it again' });
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
