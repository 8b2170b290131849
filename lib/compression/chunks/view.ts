/** What is the same in two chunks that differ in the hash parts of their references only; and one made of the other. */

import { createHash, hash } from 'node:crypto';
import { HASH_PART_LENGTH } from '../../nix/store-path.js';
import { type Chunk, MOST_HASH_PARTS } from './chunker.js';
import type { HashPartFinder } from './hash-parts.js';
import { type NotedReferences, referencesOf } from './references.js';

/** Bytes of a view's hash: all of the sha256, since parts of a NAR are believed for the sake of it. */
export const VIEW_HASH_SIZE = 32;

/**
 * The sha256 of a chunk in which each hash part is zeros, and of where these stand: zeros may stand elsewhere, too. With which
 * reference stands at each, it fixes the bytes. The chunk is changed meanwhile, and is as it was afterwards.
 */
export function viewHash(chunk: Uint8Array, positions: ArrayLike<number>): Uint8Array {
  const kept = new Uint8Array(positions.length * HASH_PART_LENGTH);
  for (let index = 0; index < positions.length; index++) {
    const at = positions[index]!;
    kept.set(chunk.subarray(at, at + HASH_PART_LENGTH), index * HASH_PART_LENGTH);
    chunk.fill(0, at, at + HASH_PART_LENGTH);
  }
  const digest =
    positions.length === 0
      ? hash('sha256', chunk, 'buffer')
      : createHash('sha256').update(chunk).update(written(positions)).digest();
  for (let index = 0; index < positions.length; index++) {
    chunk.set(kept.subarray(index * HASH_PART_LENGTH, (index + 1) * HASH_PART_LENGTH), positions[index]!);
  }
  return digest;
}

/** Numbers of 32 bits, little endian on every machine. */
function written(positions: ArrayLike<number>): Uint8Array {
  const bytes = Buffer.alloc(4 * positions.length);
  for (let index = 0; index < positions.length; index++) bytes.writeUInt32LE(positions[index]!, 4 * index);
  return bytes;
}

/** The hash parts of a whole chunk, as `createChunker` gives them; none where they are too many to be noted. */
export function hashPartsIn(chunk: Uint8Array, finder: HashPartFinder): Pick<Chunk, 'positions' | 'references'> {
  const positions: number[] = [];
  const references: number[] = [];
  for (let at = finder.next(chunk, 0, chunk.length); at >= 0; ) {
    if (positions.length === MOST_HASH_PARTS) return { positions: [], references: [] };
    positions.push(at);
    references.push(finder.found());
    at = finder.next(chunk, at + HASH_PART_LENGTH, chunk.length);
  }
  return { positions, references };
}

/**
 * Makes of a chunk another one of the same view, in its place: hash parts that the finder finds become those that are noted, of
 * `list`. False, and nothing is changed, where they are not as many, or one is not of the list.
 */
export function rebuildChunk(
  chunk: Uint8Array,
  finder: HashPartFinder,
  noted: NotedReferences,
  list: readonly string[],
): boolean {
  if (noted.count > MOST_HASH_PARTS) return false;
  const { positions } = hashPartsIn(chunk, finder);
  if (positions.length !== noted.count) return false;
  const references = referencesOf(noted, list.length);
  if (references === undefined) return false;
  if (noted.count === 0) return true;
  const texts = list.map((hashPart) => Buffer.from(hashPart, 'latin1'));
  if (texts.some((text) => text.length !== HASH_PART_LENGTH)) return false;
  positions.forEach((at, index) => {
    chunk.set(texts[references[index]!]!, at);
  });
  return true;
}
