/** Makes NARs of what is here, and fetches what is not: which of a plan, and how. */

import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import type { TableChunk } from '../../lib/compression/chunks/table.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { LocalChunks, LocalTree } from '../../lib/workers/jobs/delta/assembly.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { FoundPath } from '../find-path.js';
import { chunksOfPart, createLocalChunks } from './local-chunks.js';
import { createLocalPaths, type LocalPath, type OpenStore } from './local-paths.js';
import { createManyRanges } from './many-ranges.js';
import { createChunkPlaces } from './match.js';
import { createDecisions, type Matched } from './nars.js';
import { type DeltaPlan, planPaths } from './plan.js';
import { createReadAhead } from './read-ahead.js';
import { createTables, type SentParts, usefulTable } from './tables.js';
import { contentAt, cutsOf } from './watched-table.js';

export interface DeltaOptions {
  /** Stores to take from, the best first. */
  readonly stores: readonly OpenStore[];
  readonly storeDir: string;
  /** Where it is remembered what was computed of local paths; without one nothing is. */
  readonly memory: string | undefined;
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
  /** The tree that a run which was stopped has left of a path, if any. */
  readonly begun?: ((info: NarInfo) => Promise<string | undefined>) | undefined;
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
  const sentParts: SentParts = new WeakMap();
  const many = createManyRanges();
  const readAhead = createReadAhead();
  const match = createMatch(chunks, pool);
  const plan = async (paths: readonly FoundPath[], hints: DeltaHints, outer: AbortSignal): Promise<DeltaPlan> => {
    const stopping = new AbortController();
    const signal = AbortSignal.any([outer, stopping.signal]);
    const wanted = paths.filter((found) => usefulTable(found) !== undefined);
    const like = await locals.like(
      wanted.map(({ info }) => info),
      hints.preferred ?? [],
    );
    const begun = await findBegun(wanted, hints.begun);
    const tables = createTables(sentParts);
    const look = async (found: FoundPath): Promise<Matched | undefined> => {
      const rows = await tables.read(found);
      const { path } = found.info;
      return rows && match(found, rows, begun.get(path), like.get(path) ?? []);
    };
    const decisions = createDecisions({ ...chunks, sentParts, many, readAhead });
    const isBegun = ({ info }: FoundPath) => begun.has(info.path);
    const promising = wanted.filter((found) => like.has(found.info.path) || isBegun(found));
    const nars = planPaths(paths, promising, { look, isBegun, decisions, tables, sentParts, signal });
    const later: DeltaPlan[] = [];
    return {
      ...nars,
      async again(found) {
        const once = await plan([found], hints, signal);
        later.push(once);
        return once.of(found);
      },
      tablesSize: () => later.reduce((sum, { tablesSize }) => sum + tablesSize(), tables.asked().bytes),
      stop: (reason) => stopping.abort(reason),
      noteCuts: (info, realPath, cuts) => chunks.note(contentAt(realPath, info), cuts),
    };
  };
  return { plan: (paths, hints = {}) => plan(paths, hints, signal), keep: chunks.keep };
}

/** Finds which chunks of a NAR are in the tree that was begun of it, and in paths that are like it. */
function createMatch(chunks: ReturnType<typeof createLocalChunks>, pool: WorkerPool) {
  return async (
    found: FoundPath,
    rows: readonly TableChunk[],
    begun: string | undefined,
    like: readonly LocalPath[],
  ): Promise<Matched> => {
    const { info } = found;
    const { cutting } = usefulTable(found)!;
    const places = createChunkPlaces();
    const trees: LocalTree[] = [];
    const add = (tree: LocalTree, known: LocalChunks | undefined): void => {
      if (known) places.add(trees.push(tree) - 1, known);
    };
    if (begun !== undefined) {
      const tree = { path: begun, list: hashPartList(info), isBegun: true };
      add(tree, await chunksOfPart(tree, info.narSize, cutsOf(rows, cutting), pool));
    }
    const isBegun = trees.length > 0;
    for (const local of like) {
      if (places.hasAll(rows)) break;
      add(local, await chunks.of(local, cutting));
    }
    return { found, rows, cutting, trees, parts: places.partsOf(rows), isBegun };
  };
}

/** The trees of paths that have one. */
async function findBegun(
  wanted: readonly FoundPath[],
  begunOf: DeltaHints['begun'] = async () => undefined,
): Promise<ReadonlyMap<string, string>> {
  const begun = new Map<string, string>();
  for (const { info } of wanted) {
    const tree = await begunOf(info);
    if (tree !== undefined) begun.set(info.path, tree);
  }
  return begun;
}
