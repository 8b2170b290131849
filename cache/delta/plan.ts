/** Finds out how each path of a plan is made: those that are likely to cost most first, and most of them before all are known. */

import { allDone, mapAtMost } from '../../lib/concurrency.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { LocalChunks } from '../../lib/workers/jobs/delta/assembly.js';
import type { FoundPath } from '../find-path.js';
import { type Decisions, type DeltaNar, isPartlyHere, type Matched, type PlannedNar } from './nars.js';
import { type createTables, type SentParts, usefulTable } from './tables.js';

/** Tables that are asked for at a time, and paths that are looked at. */
const TABLES_AT_ONCE = 64;

/** Paths of which nothing is here, and whose tables cost nothing, so that the others are taken for strange, too. */
const EVIDENCE = 4;

/** How the paths of a plan are made: of most of them before all is known. */
export interface PlannedNars {
  /**
   * How a path is made, as soon as that is known; `undefined` where it is better fetched as a whole, or it is not what was planned, but what
   * another cache says of it, or the same one by now. Fails as the plan does.
   */
  of(found: FoundPath): Promise<DeltaNar | undefined>;
  /** What all of it comes to, when that is known. */
  readonly totals: Promise<DeltaTotals>;
}

/** What is made of the paths of a plan, and of those that are planned once more. */
export interface DeltaPlan extends PlannedNars {
  /** How a path is made that this run has begun, and could not end: of what it has left, and of a cache that it was not planned from. */
  again(found: FoundPath): Promise<DeltaNar | undefined>;
  /** Bytes of tables that were asked for so far. */
  tablesSize(): number;
  /** Looks for nothing more: what is not known fails with this. */
  stop(reason: unknown): void;
  /** Remembers how a path is cut that was fetched as a whole, and where it lies. */
  noteCuts(info: NarInfo, realPath: string, cuts: LocalChunks): Promise<void>;
}

/** Bytes of a plan. */
export interface DeltaTotals {
  /** Compressed bytes of NARs that are fetched, wholly or in part. */
  readonly fetchSize: number;
  /** Bytes of NARs that are here. */
  readonly hereSize: number;
}

/** What a plan is made with. */
interface Planning {
  /** What is here of a path with a `usefulTable`. */
  look(found: FoundPath): Promise<Matched | undefined>;
  /** Whether an earlier run has begun to make a path: then its table is worth a request, and says nothing of others. */
  isBegun(found: FoundPath): boolean;
  readonly decisions: Decisions;
  readonly tables: Pick<ReturnType<typeof createTables>, 'asked'>;
  readonly sentParts: SentParts;
  /** Looks for nothing more when it is aborted: what is not known fails with its reason. */
  readonly signal: AbortSignal;
}

/** What others wait for. Where nobody does, its failure is nobody's. */
function createAnswer<T>() {
  let settle: { resolve(value: T): void; reject(error: unknown): void };
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  promise.catch(() => undefined);
  return { promise, ...settle! };
}

type Answer = ReturnType<typeof createAnswer<PlannedNar | undefined>>;

/** Begins to look for `promising`, which are some of the paths; of the others nothing is here. */
export function planPaths(
  paths: readonly FoundPath[],
  promising: readonly FoundPath[],
  planning: Planning,
): PlannedNars {
  const { signal } = planning;
  const answers = new Map(promising.map(({ info }) => [info.path, createAnswer<PlannedNar | undefined>()]));
  const totals = createAnswer<DeltaTotals>();
  const fail = (error: unknown): void => {
    for (const { reject } of answers.values()) reject(error);
    totals.reject(error);
  };
  // Nobody waits for trees that are being cut.
  const onAbort = () => fail(signal.reason);
  signal.addEventListener('abort', onAbort);
  const work = async (): Promise<void> => {
    signal.throwIfAborted();
    const nars = await findNars(promising, answers, planning);
    totals.resolve(totalsOf(paths, nars));
  };
  work()
    .catch(fail)
    .finally(() => signal.removeEventListener('abort', onAbort));
  return {
    async of({ info, objects }) {
      const nar = await answers.get(info.path)?.promise;
      if (
        nar?.found.objects !== objects ||
        nar.found.info !== info ||
        (nar.source && planning.sentParts.get(objects) === false)
      )
        return undefined;
      return nar;
    },
    totals: totals.promise,
  };
}

/** Answers for each path, and gives what can be made. */
async function findNars(
  promising: readonly FoundPath[],
  answers: ReadonlyMap<string, Answer>,
  { look, isBegun, decisions, tables, signal }: Planning,
): Promise<readonly PlannedNar[]> {
  const nars: PlannedNar[] = [];
  const answer = ({ info }: FoundPath, nar: PlannedNar | undefined): void => {
    if (nar) nars.push(nar);
    answers.get(info.path)!.resolve(nar);
  };
  const isSure = (found: FoundPath): boolean => isBegun(found) || !costsRequest(found);
  const free = costliestFirst(promising.filter(isSure));
  const related = createAnswer<boolean>();
  if (free.filter((found) => !isBegun(found)).length < EVIDENCE) related.resolve(true);
  const lookAt = async (found: FoundPath): Promise<void> => {
    const match = await look(found);
    if (match && isPartlyHere(match) && !match.isBegun) related.resolve(true);
    const nar = match && decisions.decide(match);
    if (nar !== 'later') answer(found, nar);
  };
  const lookAtFree = async (): Promise<void> => {
    try {
      await mapAtMost(TABLES_AT_ONCE, free, lookAt, signal);
      related.resolve(false);
    } catch (error) {
      related.reject(error);
      throw error;
    }
  };
  // Of paths that have only the names of others in common, tables would cost requests for nothing.
  const lookAtOthers = async (): Promise<void> => {
    const others = costliestFirst(promising.filter((found) => !isSure(found)));
    if (await related.promise) await mapAtMost(TABLES_AT_ONCE, others, lookAt, signal);
    else for (const found of others) answer(found, undefined);
  };
  await allDone([lookAtFree(), lookAtOthers()]);
  for (const [{ found }, nar] of decisions.rest(tables.asked().count)) answer(found, nar);
  return nars;
}

function costsRequest(found: FoundPath): boolean {
  return usefulTable(found)?.place !== undefined;
}

function costliestFirst(paths: readonly FoundPath[]): readonly FoundPath[] {
  return [...paths].sort((a, b) => sizeOf(b.info) - sizeOf(a.info));
}

/** Its compressed bytes, as far as they are known. */
function sizeOf({ fileSize, narSize }: NarInfo): number {
  return fileSize ?? narSize;
}

function totalsOf(paths: readonly FoundPath[], nars: readonly PlannedNar[]): DeltaTotals {
  const byPath = new Map(nars.map((nar) => [nar.found.info.path, nar]));
  return {
    fetchSize: paths.reduce((sum, { info }) => sum + (byPath.get(info.path)?.fetchSize ?? sizeOf(info)), 0),
    hereSize: nars.reduce((sum, { hereSize }) => sum + hereSize, 0),
  };
}
