/** Fetches a path of which much is here: what is here is taken, and the rest fetched. */

import { CarportError, isFull } from '../../lib/errors.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { KeptTree } from '../../lib/store/own/begun/left-trees.js';
import type { Emit } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { DeltaNar } from '../delta/nars.js';
import type { FoundPath } from '../find-path.js';
import type { PullEvent } from './events.js';
import { isBetterWithout, isStillGood, keepTree } from './kept.js';
import type { PathReceiver } from './target.js';

/** What makes a path, and who takes it. */
export interface DeltaTaker {
  readonly receiver: PathReceiver;
  readonly pool: WorkerPool;
  readonly emit: Emit<PullEvent>;
  /** Where a path of the store is on disk. */
  realPath(info: NarInfo): string;
}

/** A path whose NAR was what was signed. */
export interface MadeOfDelta {
  readonly temporary: string;
  /** Bytes that were fetched. */
  readonly fileSize: number;
  /** What is done when it is registered. */
  readonly remember: () => Promise<void>;
}

/**
 * Makes the path of what is here. `undefined`, mostly with a warning, where nothing came of it: then it is to be fetched as a whole. What
 * was made of it is kept, so that a later run goes on from there; what it was to go on from may have had to make room. A server that does not answer is an
 * error: it would not give the whole file either.
 */
export async function fetchByDelta(
  found: FoundPath,
  nar: DeltaNar,
  taker: DeltaTaker,
): Promise<MadeOfDelta | undefined> {
  const tree = await keepTree(found, taker.receiver);
  // What it was to go on from had to make room for others.
  if (nar.isBegun && tree?.begun === undefined) return undefined;
  try {
    return await attempt(found, nar, taker, tree);
  } catch (error) {
    if (!(await isBetterWithout(error, { tree }, taker.receiver))) return orWhole(error, found, nar, taker);
  }
  if (nar.isBegun) return undefined;
  return attempt(found, nar, taker).catch((error: unknown) => orWhole(error, found, nar, taker));
}

/** Has a worker make the NAR, and compare it with what was signed as it does with any other; nothing is left of one that fails, but where that is kept. */
async function attempt(
  { info }: FoundPath,
  nar: DeltaNar,
  { receiver, pool, emit, realPath }: DeltaTaker,
  tree?: KeptTree,
): Promise<MadeOfDelta> {
  const temporary = tree?.temporary ?? receiver.temporaryName();
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const source = nar.source?.();
  const options = { onProgress, weight: info.narSize, ...(source && { source }) };
  try {
    const { fileSize } = await pool.run({ type: receiver.job, destination: temporary, ...nar.job }, options);
    return { temporary, fileSize, remember: () => nar.noteMade(realPath(info)) };
  } catch (error) {
    if (!tree || !isStillGood(error)) await removeTree(temporary);
    throw error;
  }
}

async function orWhole(
  error: unknown,
  { info, objects }: FoundPath,
  nar: DeltaNar,
  { emit }: DeltaTaker,
): Promise<undefined> {
  await nar.failed(error);
  if (!(error instanceof CarportError) || isFull(error)) throw error;
  const { code } = error;
  if (code === 'E_INTERRUPTED' || code === 'E_UNAVAILABLE') throw error;
  // A server that sends no parts is not wrong about anything.
  if (code === 'E_UNSUPPORTED') return;
  const message = `\`${info.path}\` cannot be made of what is here (${error.message}); fetching all of it`;
  emit({ type: 'warning', about: { path: info.path, cache: objects.url }, message });
}
