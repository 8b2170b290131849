/** An index in a directory, in little memory, and without what an earlier one has left. */

import { lstat, open, readdir, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { allDone } from '../../lib/concurrency.js';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { writeAtomically, writeStream } from '../../lib/filesystem/atomic-write.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { readSmallFile, writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { checkKey } from '../../lib/object-store/object-store.js';
import { INDEX, SIMPLE_DIRECTORIES } from '../layout.js';
import type { Publication, PublishedFile } from './publication.js';

/** Paths of files, below the directory that was given. */
export interface WrittenIndex {
  /** In the order in which they were written. */
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
  /** Those of an earlier index that this one does not have. */
  readonly removed: readonly string[];
}

/** Files of the index that are written at a time: most are very small, and some are very large. */
const BATCH = { files: 256, characters: 256 * 1024 } as const;

/** Characters of a text; what has more is written in pieces. */
const SMALL = 64 * 1024;

/** Bytes of a large file at a time; a piece of text has up to three for each of its characters. */
const MEMORY = 3 * (SMALL + 1);

/**
 * Makes a directory have an index: writes what has changed, in the order in which it is made, and then removes what is out of
 * date. Second names of files are for buckets, which have the files.
 */
export async function writeIndexDirectory(out: string, publication: Publication): Promise<WrittenIndex> {
  const { entries, owns } = publication;
  await makeDirectory(out);
  await removeLeftovers(out);
  const temporaryName = await createTemporaryNames(out);
  const keys = new Set<string>();
  const written: string[] = [];
  const unchanged: string[] = [];
  for (const batch of batches(entries, keys)) {
    const changed = await allDone(batch.map((file) => writeChanged(out, file, temporaryName())));
    for (const [index, { key }] of batch.entries()) (changed[index] ? written : unchanged).push(join(out, key));
  }
  const stale: string[] = [];
  for (const directory of DIRECTORIES) {
    for (const key of await staleFiles(out, directory, (each) => owns(each) && !keys.has(each))) {
      if (await isOwn(join(out, key), publication.recognizes?.(key))) stale.push(key);
    }
  }
  for (const key of stale) await removeFile(out, key);
  return { written, unchanged, removed: stale.map((key) => join(out, key)) };
}

/** Everything that an index owns is below them. */
const DIRECTORIES = [INDEX, ...SIMPLE_DIRECTORIES].map((directory) => directory.slice(0, -1));

/** Bytes of a page that may be ours. */
const LARGEST_PAGE = 16 * 1024 * 1024;

/** Whether a file is not somebody else's, where it may be. */
async function isOwn(path: string, recognize: ((there: Buffer) => boolean) | undefined): Promise<boolean> {
  if (recognize === undefined) return true;
  const there = await readSmallFile(path, LARGEST_PAGE).catch(ignoreLarger);
  return there !== undefined && recognize(there);
}

/** Plain files; no link is followed. */
async function staleFiles(out: string, key: string, isStale: (key: string) => boolean): Promise<readonly string[]> {
  if (!(await isDirectory(join(out, key)))) return [];
  const entries = await readdir(join(out, key), { withFileTypes: true });
  const stale: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const inner = `${key}/${entry.name}`;
    if (entry.isDirectory()) stale.push(...(await staleFiles(out, inner, isStale)));
    else if (entry.isFile() && isStale(inner)) stale.push(inner);
  }
  return stale;
}

async function isDirectory(path: string): Promise<boolean> {
  const stats = await lstat(path).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  });
  return stats?.isDirectory() === true;
}

/** And the directories that nothing is left in. */
async function removeFile(out: string, key: string): Promise<void> {
  await unlink(join(out, key)).catch(ignoreMissing);
  for (let at = dirname(key); !DIRECTORIES.includes(at); at = dirname(at)) {
    if (!(await rmdir(join(out, at)).then(() => true, ignoreMissing))) return;
  }
}

/** Somebody else may have removed it, or have put something into it. */
function ignoreMissing(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error;
}

/** Notes in `keys` what all entries are called. */
function* batches(entries: Publication['entries'], keys: Set<string>): Generator<readonly PublishedFile[]> {
  const batch: PublishedFile[] = [];
  let characters = 0;
  for (const entry of entries) {
    keys.add(entry.key);
    if ('source' in entry) continue;
    batch.push(entry);
    characters += sizeOf(entry);
    if (batch.length < BATCH.files && characters < BATCH.characters) continue;
    yield batch;
    // Who works with it still has it: what is in it must not stay in memory while more is made.
    batch.length = 0;
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}

/** In characters. What comes in pieces is too large to be looked at. */
function sizeOf(file: PublishedFile): number {
  return file.pieces ? Number.POSITIVE_INFINITY : file.content.length;
}

/** Writes a file, unless it is there with this content; says whether it did. */
async function writeChanged(out: string, file: PublishedFile, temporary: string): Promise<boolean> {
  const path = join(out, checkKey(file.key));
  try {
    return await writeChangedAt(path, file, temporary);
  } catch (error) {
    if (isErrno(error, 'EISDIR', 'EEXIST', 'ENOTEMPTY') && (await isDirectory(path))) throw inTheWay(path, error);
    throw error;
  }
}

async function writeChangedAt(path: string, file: PublishedFile, temporary: string): Promise<boolean> {
  if (sizeOf(file) > SMALL) return writeLarge(path, file);
  const bytes = Buffer.from(file.content);
  const there = await readSmallFile(path, bytes.length).catch(ignoreLarger);
  if (there?.equals(bytes)) return false;
  await writeFileAtomic(path, temporary, bytes);
  return true;
}

function inTheWay(path: string, cause: unknown): CarportError {
  return new CarportError('E_IO', `\`${path}\` is a directory, and a file of the index belongs there`, {
    cause,
    hint: 'move it away, or give `--out` a directory of its own',
  });
}

/** Also what is there and no file. */
function ignoreLarger(error: unknown): undefined {
  if (!hasCode(error, 'E_FORMAT')) throw error;
}

/** In pieces: there is no memory for a large text and its bytes. */
async function writeLarge(path: string, large: PublishedFile): Promise<boolean> {
  if (await hasContent(path, large)) return false;
  await makeDirectory(dirname(path));
  await writeAtomically(path, (temporary) => writeStream(temporary, bytesOf(large)));
  return true;
}

async function hasContent(path: string, large: PublishedFile): Promise<boolean> {
  const file = await open(path).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  });
  if (!file) return false;
  try {
    const there = Buffer.allocUnsafe(MEMORY);
    for await (const piece of bytesOf(large)) {
      const { bytesRead } = await file.read(there, 0, piece.length);
      if (!there.subarray(0, bytesRead).equals(piece)) return false;
    }
    return (await file.read(there, 0, 1)).bytesRead === 0;
  } finally {
    await file.close();
  }
}

/** All pieces are in the same memory: each is good until the next is asked for. */
async function* bytesOf(file: PublishedFile): AsyncGenerator<Buffer> {
  const memory = Buffer.allocUnsafe(MEMORY);
  let filled = 0;
  for (const piece of file.pieces?.() ?? [file.content]) {
    for (const part of cut(piece)) {
      if (filled + part.length * 3 > MEMORY) {
        yield memory.subarray(0, filled);
        filled = 0;
      }
      filled += memory.write(part, filled);
    }
  }
  yield memory.subarray(0, filled);
}

function* cut(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const end = start + SMALL;
    // A pair of surrogates is one character.
    const next = /[\ud800-\udbff]/.test(text.charAt(end - 1)) ? end + 1 : end;
    yield text.slice(start, next);
    start = next;
  }
}
