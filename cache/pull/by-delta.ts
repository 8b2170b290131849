/** Fetches a path of which much is here: what is here is taken, and the rest fetched. */

import { CarportError, isFull } from '../../lib/errors.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { Emit } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { DeltaNar } from '../delta/session.js';
import type { FoundPath } from '../find-path.js';
import type { PullEvent } from './events.js';
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
 * Has a worker make the NAR, and compare it with what was signed as it does with any other. `undefined`, with a warning, where nothing
 * came of it: then it is to be fetched as a whole.
 */
export async function fetchByDelta(
  { info, objects }: FoundPath,
  nar: DeltaNar,
  { receiver, pool, emit, realPath }: DeltaTaker,
): Promise<MadeOfDelta | undefined> {
  const temporary = receiver.temporaryName();
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const options = { onProgress, weight: info.narSize, ...(nar.source && { source: nar.source() }) };
  try {
    const { fileSize } = await pool.run({ type: receiver.job, destination: temporary, ...nar.job }, options);
    return { temporary, fileSize, remember: () => nar.made(realPath(info)) };
  } catch (error) {
    await removeTree(temporary);
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED' || isFull(error)) throw error;
    // A server that sends no parts is not wrong about anything.
    if (error.code === 'E_UNSUPPORTED') return undefined;
    await nar.failed();
    const message = `\`${info.path}\` cannot be made of what is here (${error.message}); fetching all of it`;
    emit({ type: 'warning', about: { path: info.path, cache: objects.url }, message });
    return undefined;
  }
}
