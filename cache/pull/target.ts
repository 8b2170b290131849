/** What a pull needs of the store that takes its paths, and carport's own store as such a target. */

import type { PathInfo } from '../../lib/nix/path-info.js';
import type { Realisation } from '../../lib/nix/realisation.js';
import { type LeftTrees, openLeftTrees } from '../../lib/store/own/begun/left-trees.js';
import { openPartials, type Partials } from '../../lib/store/own/begun/partials.js';
import { realPathIn } from '../../lib/store/own/layout.js';
import { withStoreWrite } from '../../lib/store/own/lock/lock.js';
import { type MakingWatch, type Turn, tryTurn, waitForMaker } from '../../lib/store/own/lock/making.js';
import { makeOutLink } from '../../lib/store/own/out-links.js';
import { type OwnStore, withoutDamagedMetadata } from '../../lib/store/own/own-store.js';
import { type PulledPin, readPulledPin, writePulledPin } from '../../lib/store/own/pulled-pins.js';
import { createStoreWriter, type StoreWriter } from '../../lib/store/own/writer/writer.js';
import type { Store } from '../../lib/store/store.js';
import type { Emit, WarningEvent, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';

/** Where pulled paths go: carport's own store, or the system's Nix. */
export interface PullTarget {
  readonly store: Store;
  /** Whether paths may be received before all is known of the pull: each is valid by itself. */
  readonly takesAhead: boolean;
  /** Does work, and keeps garbage collection away meanwhile; tells when that must be waited for. */
  protect<T>(work: () => Promise<T>, watch: Work<WarningEvent>): Promise<T>;
  /** Does work that hands paths over. What was handed over is in the store when this ends; `signal` stops it early. */
  receive<T>(pool: WorkerPool, signal: AbortSignal, work: (receiver: PathReceiver) => Promise<T>): Promise<T>;
  /** Trees that pulls have left which were stopped; absent where none are kept. */
  readonly leftTrees?: Pick<LeftTrees, 'hasAny' | 'find' | 'take'>;
  /** Takes in realisations of paths of the store; absent where it keeps none. */
  takeRealisations?(realisations: readonly Realisation[], emit: Emit<WarningEvent>): Promise<void>;
  /** Makes a link to a path of the store, which keeps the path from garbage collection. */
  makeOutLink(link: string, path: string): Promise<void>;
  /** Where pins are noted. */
  readonly pinsDir: string;
  /** What a pin of a cache stood for when it was pulled last, by its name as it was asked for. */
  keptPin(reference: string, cache: string): Promise<PulledPin | undefined>;
  /** Notes what a pin stands for, so that its name works without a network, and keeps its paths. */
  keepPin(pin: PulledPin): Promise<void>;
}

/** Takes paths in, one after another. */
export interface PathReceiver extends Pick<StoreWriter, 'temporaryName' | 'place' | 'register'> {
  /** Where threads may place what they unpack: how. */
  readonly byThreads?: Pick<StoreWriter, 'placement' | 'settle' | 'ticket' | 'storeDirs'>;
  /** Where files are kept that were fetched in part. */
  readonly partials?: Partials;
  /** Who makes paths just now; absent where nobody is told of. */
  readonly makers?: PathMakers;
  /** Where trees are kept that were made in part. */
  readonly leftTrees?: LeftTrees;
  /** The worker's job that makes of a compressed NAR what `place` takes. */
  readonly job: 'unpack' | 'save';
  /** Whether a run that was killed has left the path whole, so that it only needs to be registered. */
  hasLeft(info: PathInfo): Promise<boolean>;
}

/** Processes that make paths of a store. */
export interface PathMakers {
  /** The turn to make a path; `undefined` while another process has it. */
  tryTurn(info: PathInfo): Promise<Turn | undefined>;
  /** Waits while another process makes a path; false where that takes too long. */
  wait(info: PathInfo, watch: MakingWatch): Promise<boolean>;
}

/** carport's own store: each path is valid as soon as it is handed over. */
export function createOwnTarget(store: OwnStore): PullTarget {
  const leftTrees = openLeftTrees(store.layout);
  const registered = withoutDamagedMetadata(store);
  const wanted = ({ path }: PathInfo) => {
    return { path, isMade: async () => (await registered.queryInfos([path])).has(path) };
  };
  return {
    store: registered,
    takesAhead: true,
    protect: (work, { emit, signal }) =>
      withStoreWrite(store, work, { signal, notify: ({ message }) => emit({ type: 'warning', message }) }),
    async receive(pool, _signal, work) {
      const writer = await createStoreWriter(store, (path) => pool.run({ type: 'hash', path }));
      const receiver: PathReceiver = {
        ...writer,
        byThreads: writer,
        partials: openPartials(store.layout),
        leftTrees,
        makers: {
          tryTurn: (info) => tryTurn(store.layout, wanted(info)),
          wait: (info, watch) => waitForMaker(store.layout, wanted(info), watch),
        },
        job: 'unpack',
        hasLeft: async (info) => writer.hasLeft(info.path) && (await writer.isWhole(info)),
      };
      return work(receiver).finally(leftTrees.end);
    },
    leftTrees,
    makeOutLink: (link, path) => makeOutLink(store, link, realPathIn(store.layout, path)),
    pinsDir: store.layout.pinsDir,
    keptPin: (reference, cache) => readPulledPin(store, reference, [cache]),
    keepPin: (pin) => writePulledPin(store, pin),
  };
}
