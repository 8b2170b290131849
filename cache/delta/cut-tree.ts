/** Cuts a large local tree by several threads, as one would cut it. */

import { VIEW_HASH_SIZE } from '../../lib/compression/chunks/view.js';
import type { IndexChunksJob, LocalChunks } from '../../lib/workers/jobs/delta/assembly.js';
import type { WorkerPool } from '../../lib/workers/pool.js';

/** How a tree is divided. */
interface Division {
  /** Bytes of a piece, at least. */
  readonly least: number;
  /** A piece goes on so far into the next one: chunks that begin in different places soon end in the same. */
  readonly overlap: number;
}

const MIB = 1024 * 1024;

const DIVISION: Division = { least: 64 * MIB, overlap: 8 * MIB };

/** More would take the threads from what is fetched meanwhile. */
const MOST_PIECES = 4;

/** The chunks of a tree, as `IndexChunksJob` gives them. */
export async function cutTree(
  job: Omit<IndexChunksJob, 'piece' | 'whole'>,
  pool: WorkerPool,
  { least, overlap }: Division = DIVISION,
): Promise<LocalChunks> {
  const { narSize } = job;
  const count = Math.max(1, Math.min(pool.size, MOST_PIECES, Math.floor(narSize / least)));
  const beginning = (index: number) => Math.floor((narSize * index) / count);
  const end = (index: number) => Math.min(narSize, beginning(index + 1) + overlap);
  const cut = (from: number, to: number): Promise<LocalChunks> =>
    pool.run({ ...job, piece: { from, to } }, { weight: to - from });
  const pieces = Array.from({ length: count }, (_, index) => cut(beginning(index), end(index)));
  const [first, ...others] = await Promise.all(pieces);
  let all = first!;
  for (const [index, piece] of others.entries()) {
    const from = beginning(index + 1);
    all = joined(all, piece, from) ?? added(all, await cut(sizeOf(all), end(index + 1)));
  }
  return all;
}

/**
 * Chunks up to the first end that is one of a piece, too, which was cut from a place in the same NAR on, and then those of the piece: where a
 * chunk begins says how the rest is cut.
 */
function joined(all: LocalChunks, piece: LocalChunks, from: number): LocalChunks | undefined {
  const ends = new Map(endsOf(piece, from).map((end, index) => [end, index]));
  const own = endsOf(all, 0);
  const last = own.findIndex((end) => ends.has(end));
  if (last < 0) return undefined;
  return added(taken(all, 0, last), taken(piece, ends.get(own[last]!)!, piece.sizes.length));
}

/** Where a NAR is cut: where its first chunk begins, and where each ends. */
function endsOf({ sizes }: LocalChunks, from: number): readonly number[] {
  const ends = [from];
  for (const size of sizes) ends.push(ends.at(-1)! + size);
  return ends;
}

function taken({ cutting, sizes, hashes }: LocalChunks, from: number, to: number): LocalChunks {
  return {
    cutting,
    sizes: sizes.subarray(from, to),
    hashes: hashes.subarray(from * VIEW_HASH_SIZE, to * VIEW_HASH_SIZE),
  };
}

function added(first: LocalChunks, second: LocalChunks): LocalChunks {
  return {
    cutting: first.cutting,
    sizes: Uint32Array.from([...first.sizes, ...second.sizes]),
    hashes: Buffer.concat([first.hashes, second.hashes]),
  };
}

function sizeOf({ sizes }: LocalChunks): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
