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
import { createRoom, type Room } from './room.js';

/** A way to a NAR that is tried before it is fetched as a whole; `undefined` where there is none. */
export type NarShortcut = (found: FoundPath) => Promise<PlainNarReader | undefined>;

/** Milliseconds in which requests are gathered: Nix asks for many at a time, and one look at its store is for all of them. */
const GATHER_MS = 20;

/** What was noted is written down once in so many milliseconds. */
const KEEP_MS = 1000;

/** Bytes of NARs that are held until they are whole; a larger one, or one for which no room is left, is given as it comes. */
const ROOM = 32 * 1024 * 1024;

interface ReaderWork extends DeltaWork {
  readonly room: Room;
}

interface Waiting {
  readonly found: FoundPath;
  resolve(nar: DeltaNar | undefined): void;
  reject(error: unknown): void;
}

/** Looks for what is here in stores of this machine; `roomSize` are bytes of NARs that are held until they are whole. */
export function createNarShortcut(options: DeltaOptions, work: DeltaWork, roomSize = ROOM): NarShortcut {
  const delta = createDelta(options, work);
  const waiting: Waiting[] = [];
  const failures = createFailures();
  const room = createRoom(roomSize);
  let isToBeKept = false;
  const keep = () => delta.keep().catch(() => undefined);
  const keepSoon = async (): Promise<void> => {
    if (isToBeKept) return;
    isToBeKept = true;
    await pause(KEEP_MS, undefined, { ref: false });
    isToBeKept = false;
    await keep();
  };
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
    await keep();
  };
  return async (found) => {
    if (usefulTable(found) === undefined || failures.has(found)) return undefined;
    const nar = await new Promise<DeltaNar | undefined>((resolve, reject) => {
      if (waiting.push({ found, resolve, reject }) === 1) void planAll();
    });
    const onFailure = () => failures.add(found);
    return nar && readerOf(nar, { ...work, room }, { onFailure, onMade: () => void keepSoon() });
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

interface ReaderEvents {
  onFailure(): void;
  onMade(): void;
}

/**
 * What fails so is fetched as a whole. Who asks for a path puts it where it says: how it is cut is remembered for the next build. While there
 * is `room`, nothing is given before all of it is right: then what is wrong here is noticed by nobody.
 */
function readerOf(nar: DeltaNar, { pool, room }: ReaderWork, { onFailure, onMade }: ReaderEvents): PlainNarReader {
  return async function* read({ info }, signal, after) {
    const { promise, assembly } = nar.job;
    try {
      const from = { assembly, ...(nar.source && { source: nar.source() }) };
      for await (const piece of room.whenWhole(readPlainNar(pool, promise, from, signal, after), info.narSize)) {
        // Whoever has the last piece may be gone before this goes on.
        if (piece.after.size === info.narSize) {
          await nar.noteMade(info.path);
          onMade();
        }
        yield piece;
      }
    } catch (error) {
      if (!signal.aborted) onFailure();
      await nar.failed(error);
      throw error;
    }
  };
}
