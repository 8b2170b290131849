/** NARs that are made of what is here and of ranges of their files: which are worth it, and what is remembered of them. */

import type { Cutting } from '../../lib/compression/chunks/density.js';
import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import type { TableChunk } from '../../lib/compression/chunks/table.js';
import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import type { ExpectedNar } from '../../lib/compression/verified-nar.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { ByteRange } from '../../lib/object-store/object-store.js';
import type { Assembly, AssemblyPart, LocalTree } from '../../lib/workers/jobs/delta/assembly.js';
import type { FoundPath } from '../find-path.js';
import { type PartlyHere, requestsFor, spend } from './budget.js';
import type { createLocalChunks } from './local-chunks.js';
import { type ManyRanges, MOST_TOGETHER } from './many-ranges.js';
import type { Answer, ReadAhead } from './read-ahead.js';
import { openRange, type SentParts } from './tables.js';
import { contentAt, cutsOf } from './watched-table.js';

/** Compressed bytes that are worth a request more, and the part of a file that is worth the work. */
const WORTH_A_RANGE = 32 * 1024;
const WORTH_PART = 0.05;

/** So many requests a NAR that was begun has for itself: a tree that was left has few holes, and what lies between them was fetched already. */
const FEW = 8;

/** A NAR that is made of what is here. */
export interface DeltaNar {
  /** For a job that reads a NAR, whose hash it compares. */
  readonly job: { readonly promise: ExpectedNar; readonly assembly: Assembly };
  /** What is fetched for it, the job's source; absent where all of it is here. */
  readonly source?: () => AsyncGenerator<Uint8Array>;
  readonly fetchSize: number;
  /** It is made of the tree of an earlier run, too. */
  readonly isBegun: boolean;
  /** It lies there now: how it is cut is remembered, as its table says. */
  noteMade(realPath: string): Promise<void>;
  /** It could not be made. Where it was not what was signed, what is remembered of the paths that it was made of is forgotten. */
  failed(error: unknown): Promise<void>;
}

/** A NAR whose chunks are known, and where those are that are here. */
export interface Matched {
  readonly found: FoundPath;
  readonly rows: readonly TableChunk[];
  readonly cutting: Cutting;
  readonly trees: readonly LocalTree[];
  readonly parts: readonly AssemblyPart[];
  /** An earlier run has begun to make it: what that saves was fetched already. */
  readonly isBegun: boolean;
}

/** What is noted while NARs are made. */
interface Memory extends Pick<ReturnType<typeof createLocalChunks>, 'note' | 'forget' | 'keep'> {
  readonly sentParts: SentParts;
  readonly many: ManyRanges;
  readonly readAhead: ReadAhead;
}

export interface PlannedNar extends DeltaNar {
  readonly found: FoundPath;
  readonly hereSize: number;
}

export function isPartlyHere({ parts }: Matched): boolean {
  return parts.some(({ from }) => from !== undefined);
}

/** Decides how NARs are made, of most of them before all others are known. */
export interface Decisions {
  /** What is made of a match, if that is worth it; `later` where that depends on what requests the others leave to it. */
  decide(match: Matched): PlannedNar | 'later' | undefined;
  /** Those that were put off, when all others are decided. `tables` is how many requests tables have cost. */
  rest(tables: number): ReadonlyMap<Matched, PlannedNar | undefined>;
}

interface Considered {
  readonly match: Matched;
  readonly partly: PartlyHere;
  /** Whether it waits for the others. */
  readonly isLate: boolean;
}

/** A NAR that takes one request at most has that for itself, however many the others take. */
export function createDecisions(memory: Memory): Decisions {
  const fresh: Considered[] = [];
  return {
    decide(match) {
      if (!isPartlyHere(match)) return undefined;
      const partly = partlyOf(match, memory.many);
      const [ranges] = spend([partly], Number.POSITIVE_INFINITY);
      const isLate = !partly.isTogether && ranges!.length > (match.isBegun ? FEW : 1);
      fresh.push({ match, partly, isLate });
      return isLate ? 'later' : narOf(match, ranges!, memory);
    },
    rest(tables) {
      const requests = fresh.length - tables;
      const spent = spend(
        fresh.map(({ partly }) => partly),
        requests,
      );
      const late = fresh.map(({ match, isLate }, index) => ({ match, isLate, ranges: spent[index]! }));
      return new Map(
        late.filter(({ isLate }) => isLate).map(({ match, ranges }) => [match, narOf(match, ranges, memory)]),
      );
    },
  };
}

function partlyOf({ found, rows, parts }: Matched, many: ManyRanges): PartlyHere {
  const frames = rows.map(({ fileOffset, compressedSize }, index) => ({
    ...{ offset: fileOffset, compressedSize },
    isWanted: parts[index]!.from === undefined,
  }));
  return { fileSize: found.info.fileSize!, frames, isTogether: many.has(found) };
}

function narOf(match: Matched, ranges: readonly ByteRange[], memory: Memory): PlannedNar | undefined {
  const { found, rows, cutting, trees, isBegun } = match;
  const { info } = found;
  const fetchSize = sizeOf(ranges);
  const saved = info.fileSize! - fetchSize;
  const requests = requestsFor(ranges, { isTogether: memory.many.has(found) });
  const worthIt = Math.max(isBegun ? 0 : info.fileSize! * WORTH_PART, (requests - 1) * WORTH_A_RANGE);
  if (ranges.length > 0 && saved < worthIt) return undefined;
  const parts = joined(match.parts.map((part, index) => (isIn(rows[index]!, ranges) ? { size: part.size } : part)));
  const onTheWay = new WeakSet<object>();
  return {
    ...{ found, fetchSize, isBegun },
    job: {
      promise: { compression: 'none', narHash: info.narHash, narSize: info.narSize },
      assembly: {
        trees: trees.map(({ path, list, isBegun }) => ({ path, list, isBegun: isBegun === true })),
        parts,
        list: hashPartList(info),
      },
    },
    ...(ranges.length > 0 && {
      source: () => piecesOf(found, ranges, memory, onTheWay),
    }),
    hereSize: parts.reduce((sum, { size, from }) => sum + (from ? size : 0), 0),
    async noteMade(realPath) {
      await memory.note(contentAt(realPath, info), cutsOf(rows, cutting));
    },
    async failed(error) {
      const isWrong = error instanceof NarRefusal || hasCode(error, 'E_INTEGRITY');
      if (!isWrong || onTheWay.has(error)) return;
      for (const { path } of trees) await memory.forget(path);
      await memory.keep();
    },
  };
}

function sizeOf(ranges: readonly ByteRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

/** What is left of ranges without their first bytes. */
function rangesBehind(ranges: readonly ByteRange[], skip: number): readonly ByteRange[] {
  let left = skip;
  return ranges.flatMap(({ offset, length }) => {
    const skipped = Math.min(left, length);
    left -= skipped;
    return skipped < length ? [{ offset: offset + skipped, length: length - skipped }] : [];
  });
}

function isIn({ fileOffset }: TableChunk, ranges: readonly ByteRange[]): boolean {
  return ranges.some(({ offset, length }) => fileOffset >= offset && fileOffset < offset + length);
}

/** What is fetched in one go is one part. */
function joined(parts: readonly AssemblyPart[]): readonly AssemblyPart[] {
  const all: AssemblyPart[] = [];
  for (const part of parts) {
    const last = all.at(-1);
    if (last && !last.from && !part.from) all[all.length - 1] = { size: last.size + part.size };
    else all.push(part);
  }
  return all;
}

/** The bytes of ranges; what goes wrong with that is noted: it says nothing of the chunks. */
async function* piecesOf(
  found: FoundPath,
  ranges: readonly ByteRange[],
  asking: Asking,
  failures: WeakSet<object>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* asking.many.has(found) ? inBatches(found, ranges, asking) : oneByOne(found, ranges, asking);
  } catch (error) {
    if (error instanceof Error) failures.add(error);
    throw error;
  }
}

/** What ranges are asked for with. */
type Asking = Pick<Memory, 'sentParts' | 'many' | 'readAhead'>;

function oneByOne(
  found: FoundPath,
  ranges: readonly ByteRange[],
  { sentParts, readAhead }: Asking,
): AsyncGenerator<Uint8Array> {
  const answers = ranges.map((range): Answer => {
    const bytes = async function* () {
      yield* await openRange(found, range, sentParts);
    };
    return { size: range.length, bytes };
  });
  return readAhead(answers, sentParts.get(found.objects) === true);
}

/** As many ranges together as a server sends so; what it does not send is asked for one by one, ahead as well where there is room for both. */
function inBatches(found: FoundPath, ranges: readonly ByteRange[], asking: Asking): AsyncGenerator<Uint8Array> {
  const batches = Array.from({ length: Math.ceil(ranges.length / MOST_TOGETHER) }, (_, index) =>
    ranges.slice(index * MOST_TOGETHER, (index + 1) * MOST_TOGETHER),
  );
  const answers = batches.map((batch): Answer => {
    const bytes = async function* () {
      let rest: readonly ByteRange[] = batch;
      while (rest.length > 1 && asking.many.has(found)) {
        rest = rangesBehind(rest, yield* together(found, rest, asking.many));
      }
      yield* oneByOne(found, rest, asking);
    };
    return { size: sizeOf(batch), bytes };
  });
  return asking.readAhead(answers, false);
}

/** What comes of ranges that are asked for together; gives how many bytes that was. Where it is none, the server is not asked so again. */
async function* together(
  found: FoundPath,
  ranges: readonly ByteRange[],
  many: ManyRanges,
): AsyncGenerator<Uint8Array, number> {
  let given = 0;
  try {
    for await (const piece of (await many.open(found, ranges)) ?? []) {
      given += piece.length;
      yield piece;
    }
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
  }
  if (given === 0) many.giveUp(found.objects);
  return given;
}
