/** What comes of a large NAR is kept while it is fetched, so that a later run goes on from there; never at the cost of the path itself. */

import { type Pieces, piecesIn, type Room } from '../../lib/buffers.js';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError, hasCode, isFull } from '../../lib/errors.js';
import { renderHash } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ByteRange, ObjectStore } from '../../lib/object-store/object-store.js';
import type { PartialFile, Partials } from '../../lib/store/own/partials.js';
import type { DeltaNar, LeftFiles } from '../delta/nars.js';
import type { FoundPath } from '../find-path.js';
import { localNar, openRequiredNar } from '../nars.js';

/** Files up to this size are fetched anew. */
const WORTH_KEEPING = 8 * 1024 * 1024;

/**
 * Takes the file where the NAR of a path is kept as far as it came: the same file of another cache, or at another time. With `ranges` the
 * file where these are kept, one after another. `undefined` where it is on this machine, is not worth it, is not known well enough, or is
 * said to be larger than what is in it.
 */
export async function takePartial(
  { info, objects }: FoundPath,
  partials: Partials | undefined,
  ranges?: readonly ByteRange[],
): Promise<PartialFile | undefined> {
  const kept = keptObject(info, ranges);
  if (kept === undefined || localNar(objects, info) !== undefined) return undefined;
  return partials?.take(kept.name, { room: info.narSize + kept.size });
}

/** What is kept of a NAR's file, if anything is. */
function keptObject(
  { compression, narHash, narSize, fileHash, fileSize }: NarInfo,
  ranges?: readonly ByteRange[],
): { readonly name: string; readonly size: number } | undefined {
  if (fileHash === undefined || fileSize === undefined || fileSize > narSize + WORTH_KEEPING) return undefined;
  const size = ranges ? ranges.reduce((sum, { length }) => sum + length, 0) : fileSize;
  if (size < WORTH_KEEPING) return undefined;
  const file = [compression, renderHash(narHash), renderHash(fileHash), fileSize].join(' ');
  return { size, name: [file, ...(ranges ?? []).map(({ offset, length }) => `${offset}+${length}`)].join(' ') };
}

/** How much there is of files, by what `partlyFetched` of the target has told. */
export function leftFiles(left: ((object: string) => number) | undefined): LeftFiles | undefined {
  if (left === undefined) return undefined;
  const sizeOf = (info: NarInfo, ranges?: readonly ByteRange[]): number => {
    const kept = keptObject(info, ranges);
    return kept === undefined ? 0 : left(kept.name);
  };
  return { whole: ({ info }) => sizeOf(info), ranges: ({ info }, ranges) => sizeOf(info, ranges) };
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
  const size = yield* keptBytes(partial);
  if (size >= info.fileSize!) return;
  yield* piecesIn(await openRest(info, objects, size), room);
}

/** Ranges of a file: first what is kept of them, then the rest, which `source` gives. */
export async function* keptRanges(
  partial: PartialFile,
  source: NonNullable<DeltaNar['source']>,
): AsyncGenerator<Uint8Array> {
  yield* source(yield* keptBytes(partial));
}

/** What is kept; gives how many bytes that was. */
async function* keptBytes(partial: PartialFile): AsyncGenerator<Uint8Array, number> {
  let size = 0;
  for await (const piece of partial.read()) {
    size += piece.length;
    yield piece;
  }
  return size;
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
