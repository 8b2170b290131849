/** Tables of chunks: those in narinfos, and those that cost a request. */

import { type ToldTable, toldTable } from '../../lib/compression/chunks/field.js';
import { rowsOfFrame } from '../../lib/compression/chunks/frames.js';
import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import { parseRows, type TableChunk } from '../../lib/compression/chunks/table.js';
import { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { type ByteRange, collectSmall, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { FoundPath } from '../find-path.js';
import { openRequiredNar } from '../nars.js';

/**
 * A table that is larger than this, of some 50,000 chunks, takes tenths of a second and tens of megabytes; one that is larger than this part
 * of its file may cost more than it saves.
 */
const LARGEST = 2 * 1024 * 1024;
const LARGEST_PART = 1 / 200;
const SMALL = 2048;

/** What a narinfo says of its chunks, where it is worth to look; nothing of a NAR that may be larger than it is known to be. */
export function usefulTable({ info, objects }: FoundPath): ToldTable | undefined {
  if (objects.traits.isImmediate || info.fileSize === undefined) return undefined;
  const told = toldTable(info);
  return told && isSmall(told, info.fileSize) ? told : undefined;
}

/** Whether a table is worth to be fetched. */
export function isSmall({ rows, place }: ToldTable, fileSize: number): boolean {
  if (rows && rows.length > LARGEST) return false;
  return place === undefined || place.length <= Math.min(LARGEST, Math.max(SMALL, fileSize * LARGEST_PART));
}

/** Whether servers send parts of files: `false` of one that has ever sent all of a file instead, nothing where none was asked for. */
export type SentParts = WeakMap<ObjectStore, boolean>;

/** Reads tables, and counts what they cost. */
export function createTables(sentParts: SentParts) {
  let asked = { count: 0, bytes: 0 };
  const request = async (found: FoundPath, place: ByteRange): Promise<readonly TableChunk[] | undefined> => {
    if (sentParts.get(found.objects) === false) return undefined;
    asked = { count: asked.count + 1, bytes: asked.bytes + place.length };
    return chunksOf(found.info, await readRows(found, place, sentParts), place.offset);
  };
  return {
    /** The chunks of a NAR with a `usefulTable`; `undefined` where its table is wrong, or cannot be had. */
    async read(found: FoundPath): Promise<readonly TableChunk[] | undefined> {
      const { rows, place } = usefulTable(found)!;
      try {
        return rows ? chunksOf(found.info, rows) : await request(found, place);
      } catch (error) {
        // The NAR can be fetched all the same; if it cannot, that says why.
        if (error instanceof CarportError && error.code !== 'E_INTERRUPTED') return undefined;
        throw error;
      }
    },
    /** Tables that were asked for so far, and their bytes. */
    asked: () => asked,
  };
}

/** The rows of a table that is in the file; `E_FORMAT` where none is there, `E_UNSUPPORTED` as of `openRange`. */
export async function readRows(
  found: FoundPath,
  place: ByteRange,
  sentParts: SentParts = new WeakMap(),
): Promise<Uint8Array> {
  const pieces = await openRange(found, place, sentParts);
  return rowsOfFrame(await collectSmall(pieces, place.length, found.info.url));
}

/** The chunks of untrusted rows; `dataSize` as in `TableBounds`. Throws `E_FORMAT`. */
export function chunksOf(info: NarInfo, rows: Uint8Array, dataSize?: number): readonly TableChunk[] {
  const { narSize, fileSize } = info;
  return parseRows(rows, {
    ...{ narSize, fileSize: fileSize!, references: hashPartList(info).length },
    ...(dataSize !== undefined && { dataSize }),
  });
}

/** The pieces of a range; `E_UNSUPPORTED` where the server would send all of the file. What it does is noted. */
export async function openRange(
  { info, objects }: FoundPath,
  range: ByteRange,
  sentParts: SentParts,
): Promise<AsyncIterable<Uint8Array>> {
  const object = await openRequiredNar(objects, info, range);
  const isPart = object.isWhole !== true && object.size === range.length;
  if (isPart) {
    if (!sentParts.has(objects)) sentParts.set(objects, true);
    return object.bytes();
  }
  object.discard();
  if (object.isWhole) sentParts.set(objects, false);
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` does not send parts of \`${info.url}\``);
}
