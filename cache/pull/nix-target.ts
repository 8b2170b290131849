/** The system's Nix as the target of a pull: paths reach it by way of a private cache. */

import { readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { makePrivateDirectory, type PrivateDirectory } from '../../lib/filesystem/private-directory.js';
import { createTemporaryNames } from '../../lib/filesystem/temporary.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import type { Realisation } from '../../lib/nix/realisation.js';
import { hashPartOf, isStorePath } from '../../lib/nix/store-path.js';
import { openFileStore } from '../../lib/object-store/file.js';
import type { WriteStore } from '../../lib/object-store/object-store.js';
import { registerNixRealisations } from '../../lib/store/nix/daemon.js';
import { checkCacheDirectory, importIntoNix, makeNixRoot, wasCollected } from '../../lib/store/nix/import.js';
import { keepNixPin, nixPins } from '../../lib/store/nix/pins.js';
import { checkReplaceable } from '../../lib/store/own/out-links.js';
import { readPulledPin } from '../../lib/store/own/pulled-pins.js';
import type { Store } from '../../lib/store/store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { writeCacheInfo, writeNarInfo } from '../binary-cache.js';
import { allKeys, type ReaderTrust } from '../keys/follow.js';
import { narInfoKey } from '../layout.js';
import type { PathReceiver, PullTarget } from './target.js';

/** Bytes of NARs that wait for Nix, roughly: then it takes them in, so that temporary space is not needed for all. */
const BATCH_SIZE = 512 * 1024 * 1024;

/** How often a pull is planned when Nix's garbage collector removes what it counts on. Each keeps what the last one took. */
const PLANS = 3;

/**
 * The system's Nix. Checked NARs are put into a private binary cache, which Nix copies into its store: it checks the
 * signatures and hashes itself, and keeps the signatures. What it has taken is kept by temporary roots until the out-links
 * are there; what was there before is not, so a pull that meets a garbage collection may have to be planned again.
 */
export function createNixTarget(
  store: Store,
  trust: ReaderTrust,
  env: NodeJS.ProcessEnv,
  batchSize = BATCH_SIZE,
): PullTarget {
  const temporary = resolve(env.TMPDIR || tmpdir());
  let made: PrivateDirectory | undefined;
  let holders = 0;
  /** What is in the private directory, also the roots, stays until the work is done. It is made when it is needed. */
  const keeping = async <T>(work: () => Promise<T>): Promise<T> => {
    // Before anything is downloaded.
    checkCacheDirectory(temporary);
    holders++;
    try {
      return await work();
    } finally {
      if (--holders === 0) await made?.remove();
      if (holders === 0) made = undefined;
    }
  };
  return {
    store,
    takesAhead: false,
    protect: (work, { emit }) => keeping(() => againWhenCollected(work, emit)),
    receive: (_pool, signal, work) =>
      keeping(async () => {
        made ??= await makePrivateDirectory(temporary);
        const { path: roots } = made;
        const cache = join(roots, 'cache');
        try {
          const objects = openFileStore(cache);
          await writeCacheInfo(objects, { storeDir: store.storeDir });
          const how = { checkSignatures: !trust.allowUnsigned, cache, roots, env, signal };
          // What is in the private cache was checked with the keys of the cache that it is from: Nix is to take it by the same.
          const take = (infos: readonly PathInfo[]) => importIntoNix(infos, { ...how, keys: allKeys(trust) });
          const { receiver, finish } = await createReceiver(cache, objects, take, batchSize);
          const result = await work(receiver);
          await finish();
          return result;
        } finally {
          await rm(cache, { recursive: true, force: true });
        }
      }),
    takeRealisations: (realisations, emit) => handOn(realisations, env, emit),
    async makeOutLink(link, path) {
      await removeForeignLink(link, store.storeDir);
      await makeNixRoot(path, resolve(link), env);
    },
    pinsDir: nixPins(env).layout.pinsDir,
    keptPin: (reference, cache) => readPulledPin(nixPins(env), reference, [cache]),
    keepPin: (pin) => keepNixPin(pin, env),
  };
}

async function againWhenCollected<T>(work: () => Promise<T>, emit: Emit<WarningEvent>): Promise<T> {
  for (let plan = 1; ; plan++) {
    try {
      return await work();
    } catch (error) {
      if (plan === PLANS || !wasCollected(error)) throw error;
      emit({ type: 'warning', message: `${error.message}; pulling again what is missing` });
    }
  }
}

/** Has Nix register realisations. Where it does not, it has the paths all the same. */
async function handOn(
  realisations: readonly Realisation[],
  env: NodeJS.ProcessEnv,
  emit: Emit<WarningEvent>,
): Promise<void> {
  try {
    // Those that they depend on need not be there, and Nix would ask for them.
    await registerNixRealisations(
      realisations.map((each) => ({ ...each, dependentRealisations: {} })),
      env,
    );
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    const reason = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    const message = `Nix has the paths, and does not take the realisations of content-addressed derivations${reason}`;
    emit({ type: 'warning', message });
  }
}

/** Nix replaces its own out-links, but not those of carport's own store. */
async function removeForeignLink(link: string, storeDir: string): Promise<void> {
  await checkReplaceable(link);
  const target = await readlink(link).catch(() => undefined);
  if (target !== undefined && !isStorePath(target, storeDir)) await rm(link);
}

async function createReceiver(
  directory: string,
  objects: WriteStore,
  take: (infos: readonly PathInfo[]) => Promise<void>,
  batchSize: number,
) {
  const temporaryName = await createTemporaryNames(directory);
  let waiting: NarInfo[] = [];
  let size = 0;
  let taking: Promise<void> = Promise.resolve();

  const takeAll = async (): Promise<void> => {
    const infos = waiting;
    waiting = [];
    size = 0;
    await take(infos);
    await objects.remove(infos.flatMap((info) => [narInfoKey(hashPartOf(info.path)), info.url]));
  };
  const receiver: PathReceiver = {
    job: 'save',
    temporaryName,
    hasLeft: async () => false,
    async place(temporary, info) {
      const narInfo = toNarInfo(info, basename(temporary));
      await writeNarInfo(objects, narInfo);
      waiting.push(narInfo);
      size += info.narSize;
      if (size >= batchSize) taking = taking.then(takeAll);
      await taking;
    },
    register: () => Promise.resolve(),
  };
  return { receiver, finish: () => taking.then(takeAll) };
}

/** What was signed, the signatures, and hints that harm nobody: Nix itself keeps a content address only if it fits. */
function toNarInfo(info: PathInfo, url: string): NarInfo {
  return { ...info, url, compression: 'none', unknownFields: [] };
}
