/** What comes of a large NAR is kept while it is fetched, so that a later run goes on from there; never at the cost of the path itself. */

import { type Pieces, piecesIn, type Room } from '../../lib/buffers.js';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError, hasCode, isFull } from '../../lib/errors.js';
import { renderHash } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PartialFile, Partials } from '../../lib/store/own/partials.js';
import type { FoundPath } from '../find-path.js';
import { localNar, openRequiredNar } from '../nars.js';

/** Files up to this size are fetched anew. */
const WORTH_KEEPING = 8 * 1024 * 1024;

/**
 * Takes the file where the NAR of a path is kept as far as it came: the same file of another cache, or at another time. `undefined`
 * where it is on this machine, is not worth it, is not known well enough, or is said to be larger than what is in it.
 */
export async function takePartial(
  { info, objects }: FoundPath,
  partials: Partials | undefined,
): Promise<PartialFile | undefined> {
  const { compression, narHash, narSize, fileHash, fileSize } = info;
  if (
    fileHash === undefined ||
    fileSize === undefined ||
    fileSize < WORTH_KEEPING ||
    fileSize > narSize + WORTH_KEEPING ||
    localNar(objects, info) !== undefined
  )
    return undefined;
  const name = [compression, renderHash(narHash), renderHash(fileHash), fileSize].join(' ');
  return partials?.take(name, { room: narSize + fileSize });
}

/** Lets go of what is kept, after an error. Whether the path may come where nothing is: what was kept was wrong, or took its room. */
export async function isBetterWithout(
  error: unknown,
  partial: PartialFile | undefined,
  partials: Partials | undefined,
): Promise<boolean> {
  // What a server that went away has sent is as good as before; of what is refused nothing is.
  if (hasCode(error, 'E_UNAVAILABLE', 'E_INTERRUPTED', 'E_REMOTE', 'E_NOT_FOUND', 'E_CREDENTIALS')) {
    await partial?.leave();
    return false;
  }
  await partial?.remove();
  if (isFull(error)) return (await partials?.giveUp()) ?? false;
  const isSure = error instanceof NarRefusal && error.found === 'as told';
  return error instanceof CarportError && !isSure && partial !== undefined && partial.size > 0;
}

/** The file of a NAR: first what is kept of it, then the rest, which is asked for when somebody wants its first bytes. */
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
  let size = 0;
  for await (const piece of partial.read()) {
    size += piece.length;
    yield piece;
  }
  if (size >= info.fileSize!) return;
  yield* piecesIn(await openRest(info, objects, size), room);
}

/**
 * What comes after the first bytes. A server may not be able to send a part, or a proxy before it refuse to, in whatever words: then it is
 * asked for all.
 */
async function openRest(info: NarInfo, objects: ObjectStore, offset: number): Promise<Pieces> {
  if (offset === 0) return (await openRequiredNar(objects, info)).bytes();
  const length = info.fileSize! - offset;
  const rest = await openRequiredNar(objects, info, { offset, length }).catch((error: unknown) => {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    return undefined;
  });
  if (rest && (rest.size === length || Number.isNaN(rest.size))) return rest.bytes();
  rest?.discard();
  return behind((await openRequiredNar(objects, info)).bytes(), offset);
}

async function* behind(bytes: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const piece of bytes) {
    if (piece.length > skip) yield piece.subarray(skip);
    skip = Math.max(0, skip - piece.length);
  }
}
