import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { checkKey } from '../../cache/object-store/object-store.js';
import { type IndexOptions, makeIndex } from '../../index-generator/index-files.js';
import { readListing } from '../../index-generator/listing.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { readSmallFile, writeFileAtomic } from '../../lib/filesystem/small-files.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { makeWhole, writeStream } from '../../lib/filesystem/whole.js';
import type { Publication, PublishedFile } from '../../release/publication.js';
import { readSources } from '../../release/sources.js';
import { settingsOf } from '../command.js';
import { type Context, note, writeJson, writeLines } from '../context.js';
import { indexOptionsOf, releaseTrustOf } from '../releases.js';
import { requireCache, type Settings } from '../settings.js';
import { openSource } from '../source.js';
import { count } from '../terminal.js';
import { sayWarnings } from '../warnings.js';
import type { IndexCommandOptions } from './index-publish.js';

export interface BuildIndexOptions extends IndexCommandOptions {
  readonly fromListing?: string;
  readonly from?: readonly string[];
  readonly out: string;
}

/** Files of the index that are written at a time: most are very small, and some are very large. */
const BATCH = { files: 256, characters: 256 * 1024 } as const;

/** Characters of a text; what has more is written in pieces. */
const SMALL = 64 * 1024;

/** Bytes of a large file at a time; a piece of text has up to three for each of its characters. */
const MEMORY = 3 * (SMALL + 1);

export async function build(options: BuildIndexOptions, context: Context): Promise<void> {
  const { out } = options;
  const settings = await settingsOf({ ...options }, context);
  const publication = await makePublication(options, settings, context);
  if (publication.releases === 0 && !options.allowEmpty) throw noRelease(options);
  sayWarnings(context, publication.warnings);
  const { written, unchanged } = await writeFiles(out, publication);
  if (options.json) return writeJson(context.stdout, { written, unchanged, warnings: publication.warnings });
  if (unchanged.length > 0) note(context, options, `unchanged: ${count(unchanged.length, 'file')}`);
  await writeLines(context.stdout, written);
}

async function makePublication(options: BuildIndexOptions, settings: Settings, context: Context): Promise<Publication> {
  const { fromListing, from, compat, allowUnsigned } = options;
  if (fromListing !== undefined && from !== undefined) {
    throw new CarportError('E_USAGE', '`--from-listing` and `--from` say different things', {
      hint: 'give one of them: an index is of one bucket',
    });
  }
  const { keys, policy } = await releaseTrustOf(settings, { ...(allowUnsigned && { allowUnsigned }) });
  const indexOptions: IndexOptions = { ...indexOptionsOf(settings, keys), ...(compat && { compat }) };
  if (fromListing !== undefined) {
    const listing = await text(await openSource(fromListing, context));
    return makeIndex(readListing(listing), { ...indexOptions, ...(compat && { listing }) });
  }
  const url = settings.from.values[0] ?? requireCache(settings.to, 'from');
  const warn = (message: string) => note(context, options, `warning: ${message}`);
  // Not loaded for a listing, which is large and needs the memory.
  const { withCache } = await import('../with-caches.js');
  const read = withCache(url, { context, settings, warn }, ({ objects }) => readSources(objects, policy));
  return makeIndex(await read, indexOptions);
}

function noRelease({ fromListing }: BuildIndexOptions): CarportError {
  const where = fromListing === undefined ? 'the bucket' : 'the listing';
  return new CarportError('E_NOT_FOUND', `${where} has no release: no file is at \`_releases/VERSION/TARGET/FILE\``, {
    hint: `look whether it is the right one; \`--allow-empty\` makes an index without releases`,
  });
}

interface WrittenFiles {
  readonly written: readonly string[];
  readonly unchanged: readonly string[];
}

/** Writes what has changed, in the order in which it is made. Second names of files are for buckets, which have the files. */
async function writeFiles(out: string, { entries }: Publication): Promise<WrittenFiles> {
  await makeDirectory(out);
  await removeLeftovers(out);
  const temporaryName = await createTemporaryNames(out);
  const written: string[] = [];
  const unchanged: string[] = [];
  for (const batch of batches(entries)) {
    const changed = await Promise.all(batch.map((file) => writeChanged(out, file, temporaryName())));
    for (const [index, { key }] of batch.entries()) (changed[index] ? written : unchanged).push(join(out, key));
  }
  return { written, unchanged };
}

function* batches(entries: Publication['entries']): Generator<readonly PublishedFile[]> {
  const batch: PublishedFile[] = [];
  let characters = 0;
  for (const entry of entries) {
    if ('target' in entry) continue;
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
  if (sizeOf(file) > SMALL) return writeLarge(path, file);
  const bytes = Buffer.from(file.content);
  const there = await readSmallFile(path, bytes.length).catch(ignoreLarger);
  if (there?.equals(bytes)) return false;
  await writeFileAtomic(path, temporary, bytes);
  return true;
}

/** Also what is there and no file. */
function ignoreLarger(error: unknown): undefined {
  if (!isErrno(error, 'E_FORMAT')) throw error;
}

/** In pieces: there is no memory for a large text and its bytes. */
async function writeLarge(path: string, large: PublishedFile): Promise<boolean> {
  if (await hasContent(path, large)) return false;
  await makeDirectory(dirname(path));
  await makeWhole(path, (temporary) => writeStream(temporary, bytesOf(large)));
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
