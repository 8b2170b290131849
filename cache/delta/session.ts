/** Makes NARs of what is here, and fetches what is not: which of a plan, and how. */

import type { TableChunk } from '../../lib/compression/chunks/table.js';
import { mapAtMost } from '../../lib/concurrency.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { FoundPath } from '../find-path.js';
import { createLocalChunks } from './local-chunks.js';
import { createLocalPaths, type LocalPath, type OpenStore } from './local-paths.js';
import { createManyRanges } from './many-ranges.js';
import { createChunkPlaces } from './match.js';
import { type DeltaNar, isPartlyHere, type LeftFiles, type Matched, narsOf, type PlannedNar } from './nars.js';
import { createTables, usefulTable, type WithoutRanges } from './tables.js';

/** Tables that are asked for at a time, and paths that are looked at. */
const TABLES_AT_ONCE = 64;

/** Paths of which nothing is here, and whose tables cost nothing, so that the others are taken for strange, too. */
const EVIDENCE = 4;

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
  /** Milliseconds of a clock that only goes on. */
  readonly now?: () => number;
}

/** What is known before a plan is made. */
export interface DeltaHints {
  /** Local paths to be looked at first. */
  readonly preferred?: readonly string[];
  /** What earlier runs have left of files that were fetched. */
  readonly left?: LeftFiles | undefined;
}

/** Finds what is here of paths that are to be fetched. */
export interface Delta {
  /** How paths can be made; many at once are better than one. */
  plan(paths: readonly FoundPath[], hints?: DeltaHints): Promise<DeltaPlan>;
  /** Remembers what was computed; it is good for whatever comes of the plan. */
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

/** Makes one that takes from these stores; what it has opened and computed is kept for later plans. */
export function createDelta({ stores, storeDir, memory }: DeltaOptions, { pool, signal, now }: DeltaWork): Delta {
  const locals = createLocalPaths(stores, storeDir, now ?? (() => performance.now()));
  const chunks = createLocalChunks(memory, pool, locals.gone);
  const withoutRanges: WithoutRanges = new WeakSet();
  const many = createManyRanges();
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
    async plan(paths, { preferred = [], left } = {}) {
      const wanted = paths.filter((found) => usefulTable(found) !== undefined);
      const like = await locals.like(
        wanted.map(({ info }) => info),
        preferred,
      );
      const promising = wanted.filter(({ info }) => like.has(info.path));
      if (promising.length === 0) return { ...totals(paths, [], withoutRanges), tablesSize: 0 };
      const tables = createTables(withoutRanges);
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
      const nars = await narsOf(matches, { tables: count, left }, { ...chunks, withoutRanges, many });
      return { ...totals(paths, nars, withoutRanges), tablesSize: bytes };
    },
    keep: chunks.keep,
  };
}

function costsRequest(found: FoundPath): boolean {
  return usefulTable(found)?.place !== undefined;
}

function totals(
  paths: readonly FoundPath[],
  nars: readonly PlannedNar[],
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
