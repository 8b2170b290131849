/** Tables that come by when whole NARs are fetched: so it is remembered how a path is cut, and nobody has to read it again for that. */

import { type Pieces, piecesIn } from '../../lib/buffers.js';
import type { Cutting } from '../../lib/compression/chunks/density.js';
import { rowsOfFrame } from '../../lib/compression/chunks/frames.js';
import type { ChunkRow } from '../../lib/compression/chunks/table.js';
import { CarportError } from '../../lib/errors.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import type { ByteRange } from '../../lib/object-store/object-store.js';
import type { LocalChunks } from '../../lib/workers/jobs/delta/assembly.js';
import type { FoundPath } from '../find-path.js';
import type { LocalContent } from './chunk-memory.js';
import { chunksOf, usefulTable } from './tables.js';

/** NARs up to this size are cut as soon as it is remembered. */
const WORTH_REMEMBERING = 1024 * 1024;

/** The table of a NAR that is fetched as a whole. */
export interface WatchedTable {
  /** The pieces of the file, from its first byte on, as they are. */
  watch(pieces: Pieces): Pieces;
  /** How the NAR is cut, when all of the file has come by, and as far as the table is one. It is as untrusted as any. */
  cuts(): LocalChunks | undefined;
}

/** `undefined` where there is none of use, or it is not worth it. */
export function watchedTable(found: FoundPath): WatchedTable | undefined {
  const told = found.info.narSize > WORTH_REMEMBERING ? usefulTable(found) : undefined;
  if (told === undefined) return undefined;
  const { rows, place, cutting } = told;
  // It is only said to be there: memory is taken for what comes.
  const frame: Uint8Array[] = [];
  return {
    watch: (pieces) => (place ? watched(pieces, place, frame) : pieces),
    cuts() {
      try {
        return cutsOf(chunksOf(found.info, rows ?? rowsOfFrame(Buffer.concat(frame)), place?.offset), cutting);
      } catch (error) {
        if (error instanceof CarportError) return undefined;
        throw error;
      }
    },
  };
}

function watched(pieces: Pieces, place: ByteRange, frame: Uint8Array[]): Pieces {
  const copied = (from: AsyncIterable<Uint8Array>) => copying(from, place, frame);
  return Object.assign(copied(pieces), { into: (room) => copied(piecesIn(pieces, room)) } satisfies Pick<
    Pieces,
    'into'
  >);
}

/** Copies what lies in a range. */
async function* copying(
  pieces: AsyncIterable<Uint8Array>,
  { offset, length }: ByteRange,
  to: Uint8Array[],
): AsyncGenerator<Uint8Array> {
  let at = -offset;
  for await (const piece of pieces) {
    const end = at + piece.length;
    if (end > 0 && at < length) to.push(Buffer.from(piece.subarray(Math.max(0, -at), length - at)));
    at = end;
    yield piece;
  }
}

/** What lies at a place on disk. */
export function contentAt(realPath: string, { narHash, narSize }: PathInfo): LocalContent {
  return { realPath, narHash: narHash.digest, narSize };
}

/** How a NAR is cut that has these chunks. */
export function cutsOf(rows: readonly ChunkRow[], cutting: Cutting): LocalChunks {
  return {
    cutting,
    sizes: Uint32Array.from(rows, ({ size }) => size),
    hashes: Buffer.concat(rows.map(({ viewHash }) => viewHash)),
  };
}
