/** Fetches one path: from the first cache that has it whole, again when it was damaged on the way. */

import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { smallPromise } from '../../lib/compression/small-nar.js';
import { CarportError } from '../../lib/errors.js';
import { removeTree } from '../../lib/filesystem/temporary.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { registeredInfo } from '../../lib/nix/registered.js';
import type { Emit } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import type { SmallNarUnpacker, WaitingNar } from '../../lib/workers/small-nars.js';
import { expectedNar } from '../binary-cache.js';
import type { DeltaPlan } from '../delta/plan.js';
import { watchedTable } from '../delta/watched-table.js';
import { fromFirstThatCan, type Sources } from '../fallback.js';
import type { FoundPath } from '../find-path.js';
import { localNar, missingNar } from '../nars.js';
import { isRefusedForGood, refusedNar } from '../refused-nar.js';
import { fetchByDelta } from './by-delta.js';
import type { PullEvent } from './events.js';
import { isBetterWithout, isStillGood, isWorthKeeping, type Kept, keepTree, keptFile, takePartial } from './kept.js';
import { isSmall, largeFile, readSmallFile, wholeFile } from './nar-source.js';
import type { Ahead, TakenTree } from './take-ahead.js';
import type { PathReceiver } from './target.js';

/** Where paths are fetched from, and who takes them. */
export interface FetchOptions extends Sources {
  readonly emit: Emit<PullEvent>;
  readonly receiver: PathReceiver;
  readonly pool: WorkerPool;
  /** Unpacks small NARs in batches. */
  readonly unpackSmall: SmallNarUnpacker;
  /** Whether the store has all that a path refers to. */
  mayBePlaced(info: NarInfo): boolean;
  /** How paths are made of what is here. */
  readonly delta: Pick<DeltaPlan, 'of' | 'again' | 'stop' | 'noteCuts'>;
  /** Where a path of the store is on disk. */
  realPath(info: NarInfo): string;
  /** What was taken before. */
  readonly ahead: Pick<Ahead, 'hand' | 'isPlaced'> | undefined;
}

/** A path whose NAR was what was signed. */
export interface Fetched {
  readonly info: PathInfo;
  /** Where the tree or NAR is; `undefined` when it is at its place already. */
  readonly temporary?: string;
  /** It is registered, too. */
  readonly placed?: true;
  /** What a thread has made of it before the plan was. */
  readonly taken?: TakenTree;
  readonly fileSize: number;
  /** What is done when it is registered. */
  readonly remember?: () => Promise<void>;
}

/** Fetches from the first cache that has the path whole; one that fails is passed over with a warning. */
export async function fetchPath(planned: FoundPath, options: FetchOptions): Promise<Fetched> {
  const { receiver, emit } = options;
  emit({ type: 'path-started', path: planned.info.path, narSize: planned.info.narSize });
  const taken = options.ahead?.hand(planned.info.path);
  if (taken) return alreadyTaken(taken, emit);
  const tried = new Set([planned.info]);
  const fetched = (await receiver.hasLeft(planned.info))
    ? { info: registeredInfo(planned.info), fileSize: 0 }
    : await fromFirstThatCan(planned, options, (from) => {
        tried.add(from.info);
        return fetchFrom(from, options);
      });
  // What one cache has begun is of no use when it came from another, which may not even tell its parts.
  for (const info of tried) if (isWorthKeeping(info)) await receiver.leftTrees?.remove(info);
  return fetched;
}

function alreadyTaken(taken: TakenTree, emit: FetchOptions['emit']): Fetched {
  const { info } = taken;
  emit({ type: 'progress', bytes: info.narSize });
  return { info, taken, fileSize: info.fileSize! };
}

/** Fetches from one cache, some times more while the bytes are wrong. */
async function fetchFrom(planned: FoundPath, options: FetchOptions): Promise<Fetched> {
  const { info, objects } = planned;
  const { delta, receiver } = options;
  const nar =
    (await delta.of(planned)) ?? ((await receiver.leftTrees?.hasLeft(info)) ? await delta.again(planned) : undefined);
  const made = nar && (await fetchByDelta(planned, nar, options));
  if (made) return { info: registeredInfo(info), ...made };
  // What was damaged on the way is whole at another try.
  const { maxReads } = objects.traits;
  const refusals: NarRefusal[] = [];
  for (let fetch = 1; ; fetch++) {
    try {
      return await fetchOnce(planned, options);
    } catch (cause) {
      if (!(cause instanceof CarportError)) throw cause;
      if (cause.code === 'E_NOT_FOUND') throw missingNar(objects, info);
      if (cause instanceof NarRefusal) {
        refusals.push(cause);
        if (isRefusedForGood(objects, refusals)) throw refusedNar(info, objects, refusals);
      } else if (cause.code === 'E_PROGRAM') {
        const message = `the NAR of \`${info.path}\` in \`${objects.url}\` cannot be read here`;
        throw new CarportError('E_PROGRAM', message, { cause, hint: cause.hint });
      } else if (cause.code !== 'E_INTEGRITY' || fetch === maxReads) {
        // It says itself what failed on the way.
        throw cause;
      }
    }
  }
}

/** Fetches a path; what comes of a large one is kept until it is known to be what was signed, as far as that is in nobody's way. */
async function fetchOnce(planned: FoundPath, options: FetchOptions): Promise<Fetched> {
  const { receiver } = options;
  const tree = await keepTree(planned, receiver);
  const kept = tree ? { tree } : { partial: await takePartial(planned, receiver.partials) };
  try {
    const fetched = await attempt(planned, options, kept);
    await kept.partial?.remove();
    return fetched;
  } catch (error) {
    if (!(await isBetterWithout(error, kept, receiver))) throw error;
    return attempt(planned, options);
  }
}

/** Has a worker make of the NAR what the receiver takes, and check it; nothing is left of one that fails, but where that is kept. */
async function attempt(planned: FoundPath, options: FetchOptions, { partial, tree }: Kept = {}): Promise<Fetched> {
  const { info, objects } = planned;
  const { pool, receiver, emit } = options;
  const temporary = tree?.temporary ?? receiver.temporaryName();
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const job = { type: receiver.job, destination: temporary, promise: expectedNar(info) } as const;
  const weight = info.narSize;
  const table = watchedTable(planned);
  const remember = async (): Promise<void> => {
    const cuts = table?.cuts();
    if (cuts) await options.delta.noteCuts(info, options.realPath(info), cuts);
  };
  try {
    const file = localNar(objects, info);
    const bytes = isSmall(planned) ? await readSmallFile(info, objects) : undefined;
    const content = file === undefined ? bytes && { bytes } : { file };
    const taken = content && (await takeSmall(info, temporary, content, options));
    if (taken) return { ...taken, remember };
    const source = () => {
      const pieces = bytes ? wholeFile(bytes) : partial ? keptFile(info, objects, partial) : largeFile(info, objects);
      return table ? table.watch(pieces) : pieces;
    };
    const { fileSize } =
      file === undefined
        ? await pool.run(partial ? { ...job, kept: partial.kept(info.fileSize!) } : job, {
            source: source(),
            onProgress,
            weight,
          })
        : await pool.run({ ...job, file }, { onProgress, weight });
    return { info: registeredInfo(info), temporary, fileSize, remember };
  } catch (error) {
    if (!tree || !isStillGood(error)) await removeTree(temporary);
    throw error;
  }
}

/** Has a small NAR unpacked beside others, and placed where that may be; `undefined` where it has to be looked at alone. */
async function takeSmall(
  info: NarInfo,
  temporary: string,
  content: Pick<WaitingNar, 'file' | 'bytes'>,
  { receiver: { byThreads }, unpackSmall, mayBePlaced, emit }: FetchOptions,
): Promise<Fetched | undefined> {
  const promise = byThreads && smallPromise(info);
  if (!promise) return undefined;
  const { fileSize, narSize } = promise;
  const registration = registeredInfo(info);
  const placement = () => (mayBePlaced(info) ? byThreads.placement(registration) : undefined);
  const unpacked = await unpackSmall({ ...content, promise, destination: temporary, placement });
  if (unpacked.state === 'refused') {
    await removeTree(temporary);
    return undefined;
  }
  emit({ type: 'progress', bytes: narSize });
  if (unpacked.state === 'unpacked') return { info: registration, temporary, fileSize };
  if (unpacked.state === 'moved') await byThreads.settle(registration, unpacked.placement!);
  return { info: registration, placed: true, fileSize };
}
