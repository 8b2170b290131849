/**
 * Takes small paths from a cache in a directory while a pull is still planned: threads read and check what the cache says of
 * them, unpack them, and register those that need nothing else. What they do not take goes the long way.
 */

import { dirname } from 'node:path';
import { mapAtMost } from '../../lib/concurrency.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import { type NarInfo, parseNarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { TakeJob, TakenPath, Ticket } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type TicketFiles, ticketFiles } from '../../lib/workers/ticket-files.js';
import type { FoundPath } from '../find-path.js';
import { CACHE_INFO_KEY } from '../layout.js';
import type { PathReceiver } from './target.js';

/** Paths that a thread is given at a time: it takes some milliseconds for them. */
const BATCH = 32;

/** Batches that a thread has: the main thread may be a while at something else. */
const BATCHES = 3;

/** Bytes that a path is worth, before anything is known of it. */
const WEIGHT = 8 * 1024;

/** A path whose tree is there. */
export interface TakenTree {
  readonly info: NarInfo;
  readonly state: 'unpacked' | 'moved' | 'placed';
  readonly files: TicketFiles;
  /** What will be its metadata is written. */
  readonly isWritten: boolean;
}

/** What is taken before the plan is made. */
export interface Ahead {
  /** Starts the threads: there is something to take. */
  prepare(): void;
  /** Looks for paths, and gives those that are found and accepted. */
  take(paths: readonly string[]): Promise<readonly FoundPath[]>;
  /** Hands over what has become of a path, once; `undefined` where it is still to be fetched. */
  hand(path: string): TakenTree | undefined;
  /** Whether a path is registered already: then nothing is left to be handed over. */
  isPlaced(path: string): boolean;
  /** Removes what nobody was handed. */
  discard(): Promise<void>;
}

/** Takes from the first cache, where that is a directory and threads may write to the store. */
export function createAhead(
  [objects]: readonly ObjectStore[],
  trust: TrustPolicy,
  { byThreads }: PathReceiver,
  pool: WorkerPool,
  signal: AbortSignal,
): Ahead | undefined {
  const cacheInfo = objects?.traits.isImmediate ? objects.localFile(CACHE_INFO_KEY) : undefined;
  if (objects === undefined || cacheInfo === undefined || byThreads === undefined) return undefined;
  const { storeDirs } = byThreads;
  const job = { type: 'take', cache: dirname(cacheInfo), storeDirs, ...trustOf(trust) } as const;
  const taken = new Map<string, TakenTree>();

  const run = async (tickets: readonly Ticket[]): Promise<readonly TakenPath[]> => {
    const weight = WEIGHT * tickets.length;
    const { paths } = await pool.run({ ...job, tickets: JSON.stringify(tickets) }, { weight });
    return JSON.parse(paths) as readonly TakenPath[];
  };
  const takeBatch = async (tickets: readonly Ticket[]): Promise<readonly FoundPath[]> => {
    const results = await run(tickets);
    const failed: string[] = [];
    const found = results.flatMap(({ state, text, isWritten = false }, index): readonly FoundPath[] => {
      if (text === undefined) return [];
      const files = ticketFiles(storeDirs, tickets[index]!);
      const info = parseNarInfo(text);
      if (state === 'failed') failed.push(files.tree);
      else if (state === 'placed' || state === 'moved' || state === 'unpacked') {
        taken.set(info.path, { info, state, files, isWritten });
      }
      return [{ info, objects }];
    });
    for (const tree of failed) await removeTree(tree);
    return found;
  };
  return {
    prepare() {
      // What is wrong with the threads is told by those who wait for them.
      for (let thread = 0; thread < pool.size; thread++) void run([]).catch(() => undefined);
    },
    async take(paths) {
      const tickets = paths.flatMap((path) => byThreads.ticket(path) ?? []);
      return (await mapAtMost(BATCHES * pool.size, batchesOf(tickets, pool.size), takeBatch, signal)).flat();
    },
    hand(path) {
      const tree = taken.get(path);
      taken.delete(path);
      return tree;
    },
    isPlaced: (path) => taken.get(path)?.state === 'placed' && taken.delete(path),
    async discard() {
      for (const { state, files } of taken.values()) {
        if (state === 'unpacked') await removeTaken(files);
      }
      taken.clear();
    },
  };
}

function trustOf({ keys, allowUnsigned }: TrustPolicy): Pick<TakeJob, 'keys' | 'allowUnsigned'> {
  return { keys: keys.map(renderPublicKey), allowUnsigned };
}

function batchesOf(tickets: readonly Ticket[], threads: number): readonly (readonly Ticket[])[] {
  const size = Math.min(BATCH, Math.ceil(tickets.length / threads));
  const count = tickets.length === 0 ? 0 : Math.ceil(tickets.length / size);
  return Array.from({ length: count }, (_, index) => tickets.slice(index * size, (index + 1) * size));
}

/** Removes a tree that was taken and not placed. */
export async function removeTaken({ tree, written }: TicketFiles): Promise<void> {
  await removeTree(tree);
  await removeTree(written);
}
