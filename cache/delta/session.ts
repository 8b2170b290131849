/** Makes NARs of what is here, and fetches what is not: which of a plan, and how. */

import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import type { TableChunk } from '../../lib/compression/chunks/table.js';
import type { ExpectedNar } from '../../lib/compression/verified-nar.js';
import { mapAtMost } from '../../lib/concurrency.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ByteRange } from '../../lib/object-store/object-store.js';
import type { Assembly, AssemblyPart, LocalChunks } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { FoundPath } from '../find-path.js';
import { spend } from './budget.js';
import { createLocalChunks } from './local-chunks.js';
import { createLocalPaths, type LocalPath, type OpenStore } from './local-paths.js';
import { createChunkPlaces } from './match.js';
import { createTables, openRange, usefulTable, type WithoutRanges } from './tables.js';

/** Tables that are asked for at a time, and paths that are looked at. */
const TABLES_AT_ONCE = 64;

/** Paths of which nothing is here, and whose tables cost nothing, so that the others are taken for strange, too. */
const EVIDENCE = 4;

/** Compressed bytes that are worth a request more, and the part of a file that is worth the work. */
const WORTH_A_RANGE = 32 * 1024;
const WORTH_PART = 0.05;

export interface DeltaOptions {
  /** Stores to take from, the best first. */
  readonly stores: readonly OpenStore[];
  readonly storeDir: string;
  /** Where it is remembered what was computed of local paths. */
  readonly memory: string;
}

/** What delta works with. */
export interface DeltaWork {
  readonly pool: WorkerPool;
  readonly signal: AbortSignal;
}

/** Finds what is here of paths that are to be fetched. */
export interface Delta {
  /** How paths can be made; many at once are better than one. `preferred` are local paths to be looked at first. */
  plan(paths: readonly FoundPath[], preferred?: readonly string[]): Promise<DeltaPlan>;
  /** Remembers what was computed. */
  keep(): Promise<void>;
}

export interface DeltaPlan {
  /** Compressed bytes of NARs that are fetched, wholly or in part. */
  readonly fetchSize: number;
  /** Bytes of NARs that are here. */
  readonly hereSize: number;
  /** Bytes of tables that were fetched for the plan. */
  readonly tablesSize: number;
  /** How a path is made; `undefined` where it is better fetched as a whole, or another cache has to be asked. */
  of(found: FoundPath): DeltaNar | undefined;
}

/** A NAR that is made of what is here. */
export interface DeltaNar {
  /** For a job that reads a NAR, whose hash it compares. */
  readonly job: { readonly promise: ExpectedNar; readonly assembly: Assembly };
  /** What is fetched for it, the job's source; absent where all of it is here. */
  readonly source?: () => AsyncGenerator<Uint8Array>;
  readonly fetchSize: number;
  /** Where it lies when it is there: remembered where all of it is made of what is here. */
  made(realPath: string): Promise<void>;
  /** It was not what was signed: what is remembered of the paths that it was made of is forgotten. */
  failed(): Promise<void>;
}

/** A NAR whose chunks are known, and where those are that are here. */
interface Matched {
  readonly found: FoundPath;
  readonly rows: readonly TableChunk[];
  readonly trees: readonly LocalPath[];
  readonly parts: readonly AssemblyPart[];
}

/** Makes one that takes from these stores; what it has opened and computed is kept for later plans. */
export function createDelta({ stores, storeDir, memory: file }: DeltaOptions, { pool, signal }: DeltaWork): Delta {
  const locals = createLocalPaths(stores, storeDir);
  const chunks = createLocalChunks(file, pool);
  const withoutRanges: WithoutRanges = new WeakSet();
  const tables = createTables(withoutRanges);
  const match = async (found: FoundPath, rows: readonly TableChunk[], like: readonly LocalPath[]): Promise<Matched> => {
    const places = createChunkPlaces();
    const trees: LocalPath[] = [];
    for (const local of like) {
      const known = await chunks.of(local);
      if (known === undefined) continue;
      places.add(trees.push(local) - 1, known);
      if (places.hasAll(rows)) break;
    }
    return { found, rows, trees, parts: places.partsOf(rows) };
  };
  return {
    async plan(paths, preferred = []) {
      const wanted = paths.filter((found) => usefulTable(found) !== undefined);
      const like = await locals.like(
        wanted.map(({ info }) => info),
        preferred,
      );
      const promising = wanted.filter(({ info }) => like.has(info.path));
      if (promising.length === 0) return { ...totals(paths, [], withoutRanges), tablesSize: 0 };
      const before = tables.asked();
      const look = async (found: FoundPath): Promise<Matched | undefined> => {
        const rows = await tables.read(found);
        return rows && match(found, rows, like.get(found.info.path)!);
      };
      const lookAt = async (some: readonly FoundPath[]): Promise<readonly Matched[]> => {
        const looked = await mapAtMost(TABLES_AT_ONCE, some, look, signal);
        return looked.filter((each) => each !== undefined);
      };
      const free = await lookAt(promising.filter((found) => !costsRequest(found)));
      // Of paths that have only the names of others in common, tables would cost requests for nothing.
      const isRelated = free.length < EVIDENCE || free.some(isPartlyHere);
      const matches = isRelated ? [...free, ...(await lookAt(promising.filter(costsRequest)))] : free;
      const { count, bytes } = tables.asked();
      const nars = made(matches, count - before.count, { ...chunks, withoutRanges });
      return { ...totals(paths, nars, withoutRanges), tablesSize: bytes - before.bytes };
    },
    keep: async () => chunks.keep(await locals.gone()),
  };
}

function isPartlyHere({ parts }: Matched): boolean {
  return parts.some(({ from }) => from !== undefined);
}

function costsRequest(found: FoundPath): boolean {
  return usefulTable(found)?.place !== undefined;
}

/** What is noted while NARs are made. */
interface Memory extends Pick<ReturnType<typeof createLocalChunks>, 'note' | 'forget'> {
  readonly withoutRanges: WithoutRanges;
}

interface Made extends DeltaNar {
  readonly found: FoundPath;
  readonly hereSize: number;
}

/** What is made of matches, as far as that is worth it. `tables` is how many requests they have cost. */
function made(matches: readonly Matched[], tables: number, memory: Memory): readonly Made[] {
  const useful = matches.filter(isPartlyHere);
  const framesOf = ({ rows, parts }: Matched) =>
    rows.map(({ fileOffset, compressedSize }, index) => ({
      ...{ offset: fileOffset, compressedSize },
      isWanted: parts[index]!.from === undefined,
    }));
  const partly = useful.map((match) => ({ fileSize: match.found.info.fileSize!, frames: framesOf(match) }));
  const ranges = spend(partly, useful.length - tables);
  return useful.flatMap((match, index) => narOf(match, ranges[index]!, memory) ?? []);
}

function narOf(match: Matched, ranges: readonly ByteRange[], memory: Memory): Made | undefined {
  const { found, rows, trees } = match;
  const { info } = found;
  const fetchSize = ranges.reduce((sum, { length }) => sum + length, 0);
  const saved = info.fileSize! - fetchSize;
  if (ranges.length > 0 && saved < Math.max(info.fileSize! * WORTH_PART, (ranges.length - 1) * WORTH_A_RANGE)) {
    return undefined;
  }
  const parts = joined(match.parts.map((part, index) => (isIn(rows[index]!, ranges) ? { size: part.size } : part)));
  return {
    found,
    job: {
      promise: { compression: 'none', narHash: info.narHash, narSize: info.narSize },
      assembly: { trees: trees.map(({ path, list }) => ({ path, list })), parts, list: hashPartList(info) },
    },
    ...(ranges.length > 0 && { source: () => piecesOf(found, ranges, memory.withoutRanges) }),
    fetchSize,
    hereSize: parts.reduce((sum, { size, from }) => sum + (from ? size : 0), 0),
    async made(realPath) {
      const { narHash, narSize } = info;
      // Of what was fetched nobody has compared the hashes in the table.
      if (ranges.length === 0) await memory.note({ realPath, narHash: narHash.digest, narSize }, chunksIn(rows));
    },
    async failed() {
      for (const { path } of trees) await memory.forget(path);
    },
  };
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

function chunksIn(rows: readonly TableChunk[]): LocalChunks {
  return {
    sizes: Uint32Array.from(rows, ({ size }) => size),
    hashes: Buffer.concat(rows.map(({ viewHash }) => viewHash)),
  };
}

async function* piecesOf(
  found: FoundPath,
  ranges: readonly ByteRange[],
  withoutRanges: WithoutRanges,
): AsyncGenerator<Uint8Array> {
  for (const range of ranges) yield* await openRange(found, range, withoutRanges);
}

function totals(
  paths: readonly FoundPath[],
  nars: readonly Made[],
  withoutRanges: WithoutRanges,
): Omit<DeltaPlan, 'tablesSize'> {
  const byPath = new Map(nars.map((nar) => [nar.found.info.path, nar]));
  const sizeOf = ({ fileSize, narSize }: NarInfo): number => fileSize ?? narSize;
  return {
    fetchSize: paths.reduce((sum, { info }) => sum + (byPath.get(info.path)?.fetchSize ?? sizeOf(info)), 0),
    hereSize: nars.reduce((sum, { hereSize }) => sum + hereSize, 0),
    of({ info, objects }) {
      const nar = byPath.get(info.path);
      if (nar?.found.objects !== objects || (nar.source && withoutRanges.has(objects))) return undefined;
      return nar;
    },
  };
}
