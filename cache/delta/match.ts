/** Which chunks of a NAR are here, and how it is made of them. */

import type { ChunkRow } from '../../lib/compression/chunks/table.js';
import { VIEW_HASH_SIZE } from '../../lib/compression/chunks/view.js';
import type { AssemblyPart, LocalChunks } from '../../lib/workers/jobs/delta/assembly.js';

/** Where a chunk is that is here. */
interface Place {
  readonly tree: number;
  readonly offset: number;
}

/** How often a tree may be gone back in: it is read in order, from its beginning. */
const MOST_RETURNS = 16;

/** Chunks of trees, by what their views hold. */
export interface ChunkPlaces {
  add(tree: number, chunks: LocalChunks): void;
  /** Whether all of these are here. */
  hasAll(rows: readonly ChunkRow[]): boolean;
  /** How a NAR is made: what is not here is to be fetched. */
  partsOf(rows: readonly ChunkRow[]): readonly AssemblyPart[];
}

export function createChunkPlaces(): ChunkPlaces {
  const places = new Map<string, Place[]>();
  const placesOf = ({ viewHash, size }: ChunkRow) => places.get(keyOf(viewHash, size));
  return {
    add(tree, { sizes, hashes }) {
      let offset = 0;
      sizes.forEach((size, index) => {
        const key = keyOf(hashes.subarray(index * VIEW_HASH_SIZE, (index + 1) * VIEW_HASH_SIZE), size);
        const known = places.get(key);
        if (known === undefined) places.set(key, [{ tree, offset }]);
        else known.push({ tree, offset });
        offset += size;
      });
    },
    hasAll: (rows) => rows.every((row) => placesOf(row) !== undefined),
    partsOf(rows) {
      const reached = new Map<number, number>();
      // A tree of zeros has many places of one view: those that lie behind are not looked at again.
      const passed = new Map<readonly Place[], number>();
      const placeAhead = (known: readonly Place[]): Place | undefined => {
        let index = passed.get(known) ?? 0;
        while (index < known.length && known[index]!.offset < (reached.get(known[index]!.tree) ?? 0)) index++;
        passed.set(known, index);
        return known[index];
      };
      let returns = 0;
      return rows.map((row): AssemblyPart => {
        const { size, references } = row;
        const known = placesOf(row);
        if (known === undefined) return { size };
        const ahead = placeAhead(known);
        if (ahead === undefined) {
          if (++returns > MOST_RETURNS) return { size };
          passed.clear();
        }
        const place = ahead ?? known[0]!;
        reached.set(place.tree, place.offset + size);
        return { size, from: { ...place, references } };
      });
    },
  };
}

function keyOf(viewHash: Uint8Array, size: number): string {
  return `${Buffer.from(viewHash).toString('latin1')}${size}`;
}
