/** NARs that are made of what this machine has already, as far as that is possible: only the rest of them is fetched. */

import { setTimeout as pause } from 'node:timers/promises';
import { CarportError } from '../../lib/errors.js';
import { formatHash } from '../../lib/nix/hash.js';
import { readPlainNar } from '../../lib/workers/plain-nar.js';
import type { DeltaNar } from '../delta/nars.js';
import { createDelta, type DeltaOptions, type DeltaWork } from '../delta/session.js';
import { usefulTable } from '../delta/tables.js';
import type { FoundPath } from '../find-path.js';
import type { PlainNarReader } from './plain-nar.js';

/** A way to a NAR that is tried before it is fetched as a whole; `undefined` where there is none. */
export type NarShortcut = (found: FoundPath) => Promise<PlainNarReader | undefined>;

/** Milliseconds in which requests are gathered: Nix asks for many at a time, and one look at its store is for all of them. */
const GATHER_MS = 20;

interface Waiting {
  readonly found: FoundPath;
  resolve(nar: DeltaNar | undefined): void;
  reject(error: unknown): void;
}

/** Looks for what is here in stores of this machine. */
export function createNarShortcut(options: DeltaOptions, work: DeltaWork): NarShortcut {
  const delta = createDelta(options, work);
  const waiting: Waiting[] = [];
  const failures = createFailures();
  // Who asks meanwhile is looked at beside the others: a plan in which large trees are cut takes long.
  const planAll = async (): Promise<void> => {
    await pause(GATHER_MS);
    const batch = waiting.splice(0);
    try {
      const plan = await delta.plan(batch.map(({ found }) => found));
      for (const { found, resolve, reject } of batch)
        plan.of(found).then(resolve, (error) => settle(error, resolve, reject));
      await plan.totals.catch(() => undefined);
    } catch (error) {
      for (const { resolve, reject } of batch) settle(error, resolve, reject);
    }
    // What is remembered only saves work, and nobody waits for this.
    await delta.keep().catch(() => undefined);
  };
  return async (found) => {
    if (usefulTable(found) === undefined || failures.has(found)) return undefined;
    const nar = await new Promise<DeltaNar | undefined>((resolve, reject) => {
      if (waiting.push({ found, resolve, reject }) === 1) void planAll();
    });
    return nar && readerOf(nar, work, () => failures.add(found));
  };
}

/** Whatever is wrong with a plan: everything can be fetched. */
function settle(error: unknown, resolve: Waiting['resolve'], reject: Waiting['reject']): void {
  if (error instanceof CarportError) resolve(undefined);
  else reject(error);
}

/** NARs that are remembered at most. */
const MOST_FAILURES = 10_000;

/** NARs that could not be made so: whoever has got some of the bytes comes again, and the whole then has to be right from the beginning. */
function createFailures() {
  const failed = new Set<string>();
  const nameOf = ({ info, objects }: FoundPath) => `${objects.url} ${info.path} ${formatHash(info.narHash, 'nix32')}`;
  return {
    has: (found: FoundPath) => failed.has(nameOf(found)),
    add(found: FoundPath) {
      if (failed.size >= MOST_FAILURES) failed.clear();
      failed.add(nameOf(found));
    },
  };
}

/** What fails so is fetched as a whole. */
function readerOf(nar: DeltaNar, { pool }: DeltaWork, onFailure: () => void): PlainNarReader {
  return async function* read(_, signal, after) {
    const { promise, assembly } = nar.job;
    try {
      const from = { assembly, ...(nar.source && { source: nar.source() }) };
      yield* readPlainNar(pool, promise, from, signal, after);
    } catch (error) {
      if (!signal.aborted) onFailure();
      await nar.failed(error);
      throw error;
    }
  };
}
