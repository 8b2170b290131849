/** NARs that are made of what this machine has already, as far as that is possible: only the rest of them is fetched. */

import { setTimeout as pause } from 'node:timers/promises';
import { CarportError } from '../../lib/errors.js';
import { readPlainNar } from '../../lib/workers/plain-nar.js';
import { createDelta, type Delta, type DeltaNar, type DeltaOptions, type DeltaWork } from '../delta/session.js';
import { usefulTable } from '../delta/tables.js';
import type { FoundPath } from '../find-path.js';
import type { PlainNarReader } from './plain-nar.js';

/** A way to a NAR that is tried before it is fetched as a whole; `undefined` where there is none. */
export type NarShortcut = (found: FoundPath) => Promise<PlainNarReader | undefined>;

/** Milliseconds in which requests are gathered: Nix asks for many at a time, and one look at its store is for all of them. */
const GATHER_MS = 20;

/** The names in a store are read again after so long: there are new paths to take from. */
const RENEW_MS = 60_000;

interface Waiting {
  readonly found: FoundPath;
  resolve(nar: DeltaNar | undefined): void;
}

/** Looks for what is here in stores of this machine. `now` is in milliseconds. */
export function createNarShortcut(options: DeltaOptions, work: DeltaWork, now: () => number): NarShortcut {
  const delta = createRenewed(() => createDelta(options, work), now);
  const waiting: Waiting[] = [];
  let isPlanning = false;
  const planAll = async (): Promise<void> => {
    isPlanning = true;
    while (waiting.length > 0) {
      await pause(GATHER_MS);
      const batch = waiting.splice(0);
      const plan = await delta()
        .plan(batch.map(({ found }) => found))
        .catch(orNothing);
      for (const { found, resolve } of batch) resolve(plan?.of(found));
    }
    isPlanning = false;
    await delta().keep().catch(orNothing);
  };
  return async (found) => {
    if (usefulTable(found) === undefined) return undefined;
    const nar = await new Promise<DeltaNar | undefined>((resolve) => {
      waiting.push({ found, resolve });
      if (!isPlanning) void planAll();
    });
    return nar && readerOf(nar, work);
  };
}

/** What fails so is fetched as a whole, and what is remembered of the paths that it was made of is forgotten. */
function readerOf(nar: DeltaNar, { pool }: DeltaWork): PlainNarReader {
  return async function* read(_, signal) {
    const { promise, assembly } = nar.job;
    try {
      yield* readPlainNar(pool, promise, { assembly, ...(nar.source && { source: nar.source() }) }, signal);
    } catch (error) {
      if (error instanceof CarportError && error.code !== 'E_INTERRUPTED') await nar.failed();
      throw error;
    }
  };
}

function createRenewed(make: () => Delta, now: () => number): () => Delta {
  let made: { readonly delta: Delta; readonly at: number } | undefined;
  return () => {
    if (made === undefined || now() - made.at > RENEW_MS) made = { delta: make(), at: now() };
    return made.delta;
  };
}

/** Whatever is wrong with it: everything can be fetched. */
function orNothing(): undefined {
  return undefined;
}
