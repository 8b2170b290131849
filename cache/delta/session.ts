/** Makes NARs of what is here, and fetches what is not: which of a plan, and how. */

import type { TableChunk } from '../../lib/compression/chunks/table.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { FoundPath } from '../find-path.js';
import { createLocalChunks } from './local-chunks.js';
import { createLocalPaths, type LocalPath, type OpenStore } from './local-paths.js';
import { createManyRanges } from './many-ranges.js';
import { createChunkPlaces } from './match.js';
import { createDecisions, type LeftFiles, type Matched } from './nars.js';
import { type DeltaPlan, planPaths } from './plan.js';
import { createTables, usefulTable, type WithoutRanges } from './tables.js';
import { contentAt } from './watched-table.js';

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
  /** How paths can be made; many at once are better than one. What is given may still be worked at. */
  plan(paths: readonly FoundPath[], hints?: DeltaHints): Promise<DeltaPlan>;
  /** Remembers what was computed; it is good for whatever comes of the plan. */
  keep(): Promise<void>;
}

/** Makes one that takes from these stores; what it has opened and computed is kept for later plans. */
export function createDelta({ stores, storeDir, memory }: DeltaOptions, { pool, signal, now }: DeltaWork): Delta {
  const locals = createLocalPaths(stores, storeDir, now ?? (() => performance.now()));
  const chunks = createLocalChunks(memory, pool, locals.gone);
  const withoutRanges: WithoutRanges = new WeakSet();
  const many = createManyRanges();
  const match = async (found: FoundPath, rows: readonly TableChunk[], like: readonly LocalPath[]): Promise<Matched> => {
    const { cutting } = usefulTable(found)!;
    const places = createChunkPlaces();
    const trees: LocalPath[] = [];
    for (const local of like) {
      const known = await chunks.of(local, cutting);
      if (known === undefined) continue;
      places.add(trees.push(local) - 1, known);
      if (places.hasAll(rows)) break;
    }
    return { found, rows, cutting, trees, parts: places.partsOf(rows) };
  };
  return {
    async plan(paths, { preferred = [], left } = {}) {
      const wanted = paths.filter((found) => usefulTable(found) !== undefined);
      const like = await locals.like(
        wanted.map(({ info }) => info),
        preferred,
      );
      const tables = createTables(withoutRanges);
      const look = async (found: FoundPath): Promise<Matched | undefined> => {
        const rows = await tables.read(found);
        return rows && match(found, rows, like.get(found.info.path)!);
      };
      const decisions = createDecisions(left, { ...chunks, withoutRanges, many });
      const promising = wanted.filter(({ info }) => like.has(info.path));
      const plan = planPaths(paths, promising, { look, decisions, tables, withoutRanges, signal });
      return { ...plan, noteCuts: (info, realPath, cuts) => chunks.note(contentAt(realPath, info), cuts) };
    },
    keep: chunks.keep,
  };
}
