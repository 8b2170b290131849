/** Where the bytes of a NAR come from: read whole when it is small, else opened when a thread wants them. */

import { type Pieces, piecesIn, type Room } from '../../lib/buffers.js';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { insteadOf } from '../../lib/errors.js';
import { renderHash } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PartialFile } from '../../lib/store/own/partials.js';
import type { FoundPath } from '../find-path.js';
import { missingNar, narObject, openRequiredNar } from '../nars.js';

/** A compressed NAR up to this size is read whole and then unpacked, so that no thread waits for the network. */
const SMALL_FILE = 512 * 1024;

/** Whether the NAR of a path comes over the network and is read whole before it is unpacked. */
export function isSmall({ info, objects }: FoundPath): boolean {
  return !objects.traits.isImmediate && info.fileSize !== undefined && info.fileSize <= SMALL_FILE;
}

/** Whether the NAR of a path is a small file of this machine. */
export function isSmallHere({ info, objects }: FoundPath): boolean {
  return objects.traits.isImmediate && info.fileSize !== undefined && info.fileSize <= SMALL_FILE;
}

/** The file of a NAR that `isSmall`, read whole. */
export async function readSmallFile(info: NarInfo, objects: ObjectStore): Promise<Uint8Array> {
  const bytes = await narObject(objects, info)
    .read(SMALL_FILE)
    .catch(insteadOf('E_FORMAT', 'too large' as const));
  if (bytes === 'too large') {
    throw new NarRefusal('E_INTEGRITY', `the file is larger than its ${info.fileSize} bytes`, 'another');
  }
  if (bytes) return bytes;
  throw missingNar(objects, info);
}

/** The file of a large NAR, which is asked for when a thread wants its first bytes, so that no answer waits for one. */
export function largeFile(info: NarInfo, objects: ObjectStore): Pieces {
  const open = async () => (await openRequiredNar(objects, info)).bytes();
  return Object.assign(openedLate(open), { into: (room: Room) => openedLate(open, room) });
}

/** Files up to this size are fetched anew. */
const WORTH_KEEPING = 8 * 1024 * 1024;

/**
 * What a partial file of a NAR goes by: the same file of another cache, or at another time. `undefined` where it is not worth it, is not
 * known well enough, or is said to be larger than what is in it.
 */
export function partialName({ compression, narHash, narSize, fileHash, fileSize }: NarInfo): string | undefined {
  if (
    fileHash === undefined ||
    fileSize === undefined ||
    fileSize < WORTH_KEEPING ||
    fileSize > narSize + WORTH_KEEPING
  )
    return undefined;
  return [compression, renderHash(narHash), renderHash(fileHash), fileSize].join(' ');
}

/** The same as `largeFile`, first what is kept of it, and what comes then is kept, too. */
export function keptFile(info: NarInfo, objects: ObjectStore, partial: PartialFile): Pieces {
  return Object.assign(keptPieces(info, objects, partial), {
    into: (room: Room) => keptPieces(info, objects, partial, room),
  });
}

async function* keptPieces(
  info: NarInfo,
  objects: ObjectStore,
  partial: PartialFile,
  room?: Room,
): AsyncGenerator<Uint8Array> {
  let { size } = partial;
  yield* partial.read();
  if (size === info.fileSize) return;
  for await (const piece of piecesIn(await openRest(info, objects, size), room)) {
    size += piece.length;
    // Before somebody else has the memory. No more than there should be.
    if (size <= info.fileSize!) await partial.add(piece);
    yield piece;
  }
}

/** What comes after the first bytes. A server may not be able to send a part: then it sends all. */
async function openRest(info: NarInfo, objects: ObjectStore, offset: number): Promise<Pieces> {
  if (offset === 0) return (await openRequiredNar(objects, info)).bytes();
  const range = { offset, length: Math.max(1, info.fileSize! - offset) };
  const rest = await openRequiredNar(objects, info, range).catch(insteadOf('E_UNSUPPORTED', undefined));
  return rest ? rest.bytes() : behind((await openRequiredNar(objects, info)).bytes(), offset);
}

async function* behind(bytes: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const piece of bytes) {
    if (piece.length > skip) yield piece.subarray(skip);
    skip = Math.max(0, skip - piece.length);
  }
}

/** What was read, as a source. */
export async function* wholeFile(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* openedLate(open: () => Promise<Pieces>, room?: Room): AsyncGenerator<Uint8Array> {
  yield* piecesIn(await open(), room);
}
