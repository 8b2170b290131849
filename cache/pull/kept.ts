/** What comes of a large NAR is kept while it is fetched, so that a later run goes on from there; never at the cost of the path itself. */

import { type Pieces, piecesIn, type Room } from '../../lib/buffers.js';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { CarportError, hasCode, isFull } from '../../lib/errors.js';
import { renderHash } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { KeptTree } from '../../lib/store/own/begun/left-trees.js';
import type { PartialFile, Partials } from '../../lib/store/own/begun/partials.js';
import { usefulTable } from '../delta/tables.js';
import type { FoundPath } from '../find-path.js';
import { localNar, openRequiredNar } from '../nars.js';
import type { PathReceiver } from './target.js';

/** Files up to this size are fetched anew. */
const WORTH_KEEPING = 8 * 1024 * 1024;

/** What is kept of a path while it is fetched: its file, or the tree that is made of it. */
export interface Kept {
  readonly partial?: PartialFile | undefined;
  readonly tree?: KeptTree | undefined;
}

/** Whether the file of a NAR is worth that anything is kept of it. */
export function isWorthKeeping({ fileSize = 0 }: NarInfo): boolean {
  return fileSize >= WORTH_KEEPING;
}

/**
 * Takes the file where the NAR of a path is kept as far as it came: the same file of another cache, or at another time. `undefined` where it
 * is on this machine, is not worth it, is not known well enough, or is said to be larger than what is in it.
 */
export async function takePartial(
  { info, objects }: FoundPath,
  partials: Partials | undefined,
): Promise<PartialFile | undefined> {
  const { compression, narHash, narSize, fileHash, fileSize } = info;
  if (!isWorthKeeping(info) || fileHash === undefined || fileSize! > narSize + WORTH_KEEPING) return undefined;
  if (localNar(objects, info) !== undefined) return undefined;
  const file = [compression, renderHash(narHash), renderHash(fileHash), fileSize].join(' ');
  return partials?.take(file, { room: narSize + fileSize! });
}

/**
 * The tree of a path, which is kept as far as it came; then nothing is kept of its file. `undefined` where it is not worth it, or where the
 * file has no table that tells which parts of the tree are right.
 */
export async function keepTree(found: FoundPath, { leftTrees }: PathReceiver): Promise<KeptTree | undefined> {
  const isOfUse = isWorthKeeping(found.info) && usefulTable(found) !== undefined;
  return isOfUse ? leftTrees?.keep(found.info) : undefined;
}

/** Whether what has come of a NAR before an error is as good as before: that of a server that went away is; of what is refused nothing is. */
export function isStillGood(error: unknown): boolean {
  return hasCode(error, 'E_UNAVAILABLE', 'E_INTERRUPTED', 'E_REMOTE', 'E_NOT_FOUND', 'E_CREDENTIALS');
}

/** Lets go of what is kept, after an error. Whether the path may come where nothing is: what was kept was wrong, or took its room. */
export async function isBetterWithout(
  error: unknown,
  { partial, tree }: Kept,
  { partials, leftTrees }: Pick<PathReceiver, 'partials' | 'leftTrees'>,
): Promise<boolean> {
  const kept = partial ?? tree;
  if (isStillGood(error)) {
    await kept?.leave();
    return false;
  }
  const gone = isFull(error)
    ? [await partials?.giveUp(), await leftTrees?.giveUp(), tree?.begun !== undefined]
    : undefined;
  await kept?.remove();
  if (gone) return gone.includes(true);
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
