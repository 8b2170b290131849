/** Files of a large NAR in its frames: only those are fetched that a file is in. */

import { toldTable } from '../../lib/compression/chunks/field.js';
import { createHashPartFinder, hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import { noteReferences } from '../../lib/compression/chunks/references.js';
import type { TableChunk } from '../../lib/compression/chunks/table.js';
import { hashPartsIn, viewHash } from '../../lib/compression/chunks/view.js';
import { loadZstd, type Zstd } from '../../lib/compression/zstd-binding.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { findInListing, parseListing, type RegularListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { readListing } from '../binary-cache.js';
import { chunksOf, isSmall, readRows } from '../delta/tables.js';
import { openRequiredNar } from '../nars.js';
import { areTrusted, isReadInParts } from './signed-contents.js';

/** A file, and where its bytes are. */
export interface FilePart {
  /** The chunks that it is in, which follow each other. */
  readonly chunks: readonly TableChunk[];
  /** Where it begins in the NAR, and its bytes. */
  readonly offset: number;
  readonly size: number;
}

/**
 * Where a file is, when that is trusted and it is worth to fetch only that; else `undefined`, and the NAR is to be read, which
 * also tells what is wrong with it.
 */
export async function findFilePart(
  objects: ObjectStore,
  info: NarInfo,
  inner: string,
  trust: TrustPolicy,
): Promise<FilePart | undefined> {
  const { narSize, fileSize } = info;
  const told = isReadInParts(info) ? toldTable(info) : undefined;
  if (told === undefined || fileSize === undefined || !isSmall(told, fileSize)) return undefined;
  try {
    const listing = await readListing(objects, hashPartOf(info.path));
    const file = listing === undefined ? undefined : findInListing(parseListing(listing), inner);
    if (listing === undefined || file?.type !== 'regular' || file.narOffset === undefined) return undefined;
    if (file.narOffset + file.size > narSize) return undefined;
    const rows = told.rows ?? (await readRows({ info, objects }, told.place));
    if (!areTrusted(info, { rows, listing }, trust)) return undefined;
    return partOf({ ...file, narOffset: file.narOffset }, chunksOf(info, rows, told.place?.offset));
  } catch (error) {
    if (hasCode(error, 'E_FORMAT', 'E_NOT_FOUND', 'E_REMOTE', 'E_UNSUPPORTED')) return undefined;
    throw error;
  }
}

function partOf(
  { narOffset, size }: RegularListing & { readonly narOffset: number },
  chunks: readonly TableChunk[],
): FilePart | undefined {
  const end = narOffset + size;
  const touched = chunks.filter((chunk) => chunk.offset < end && chunk.offset + chunk.size > narOffset);
  const isPart = touched.length < chunks.length / 2;
  return isPart ? { chunks: touched, offset: narOffset, size } : undefined;
}

/** The bytes of a file. Each chunk is compared with what was signed before any of it is given. */
export async function* readFilePart(objects: ObjectStore, info: NarInfo, part: FilePart): AsyncGenerator<Uint8Array> {
  const { chunks, offset, size } = part;
  if (size === 0) return;
  const [first, last] = [chunks[0]!, chunks.at(-1)!];
  const length = last.fileOffset + last.compressedSize - first.fileOffset;
  const stored = await openRequiredNar(objects, info, { offset: first.fileOffset, length });
  const check = createChunkReader(await loadZstd(), objects, info);
  let read = 0;
  for await (const { chunk, frame } of framesIn(stored.bytes(), chunks)) {
    const bytes = check(chunk, frame);
    yield bytes.subarray(Math.max(offset - chunk.offset, 0), offset + size - chunk.offset);
    read++;
  }
  if (read < chunks.length) throw wrongPart(objects, info, 'the file ends before it should');
}

/** Bytes of chunks that follow each other, each valid until the next; what comes behind the last is passed over. */
async function* framesIn(pieces: AsyncIterable<Uint8Array>, chunks: readonly TableChunk[]) {
  // Parsed rows have frames of little more than the largest chunk.
  const room = Buffer.allocUnsafe(Math.max(...chunks.map(({ compressedSize }) => compressedSize)));
  let held = 0;
  let next = 0;
  for await (const piece of pieces) {
    for (let rest = piece; rest.length > 0 && next < chunks.length; ) {
      const chunk = chunks[next]!;
      const taken = rest.subarray(0, chunk.compressedSize - held);
      room.set(taken, held);
      held += taken.length;
      rest = rest.subarray(taken.length);
      if (held < chunk.compressedSize) continue;
      yield { chunk, frame: room.subarray(0, held) };
      held = 0;
      next++;
    }
  }
}

/** Decompresses chunks and compares them with the table. What is given is valid until the next. */
function createChunkReader(zstd: Zstd, objects: ObjectStore, info: NarInfo) {
  const context = new zstd.DCtx();
  const finder = createHashPartFinder(hashPartList(info));
  return (chunk: TableChunk, frame: Uint8Array): Uint8Array => {
    const bytes = Buffer.alloc(chunk.size);
    let made = -1;
    try {
      made = context.decompress(bytes, frame);
    } catch {
      // As when it is of another size.
    }
    const { positions, references } = hashPartsIn(bytes, finder);
    const { runs } = noteReferences(references);
    const isSame =
      made === chunk.size &&
      Buffer.compare(viewHash(bytes, positions), chunk.viewHash) === 0 &&
      Buffer.compare(runs, chunk.references.runs) === 0;
    if (!isSame) throw wrongPart(objects, info, `its bytes from ${chunk.offset} on are not those that were signed`);
    return bytes;
  };
}

function wrongPart(objects: ObjectStore, info: NarInfo, why: string): CarportError {
  return new CarportError(
    'E_INTEGRITY',
    `the NAR of \`${info.path}\` in \`${objects.url}\` is damaged, or was damaged on the way`,
    {
      cause: new Error(why),
      hint: '`carport pull` reads all of it again, and tells which',
    },
  );
}
