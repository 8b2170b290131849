import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listHashParts, readNarInfo } from '#cache/binary-cache.js';
import { narKey } from '#cache/layout.js';
import type { PinPolicy } from '#cache/pins/check.js';
import type { SeenPins } from '#cache/pins/seen.js';
import type { PullEvent } from '#cache/pull/events.js';
import { pullClosure } from '#cache/pull/session.js';
import { createOwnTarget } from '#cache/pull/target.js';
import type { PushEvent } from '#cache/push/events.js';
import { pushClosure } from '#cache/push/session.js';
import { COMPRESSION_LEVELS, type WritableCompression } from '#lib/compression/compressor.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { PublicKey, SecretKey } from '#lib/signing/key.js';
import type { TrustPolicy } from '#lib/signing/trust.js';
import { runtimeClosure } from '#lib/store/closure.js';
import type { OutLinks } from '#lib/store/own/out-links.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { createWorkerPool } from '#lib/workers/pool.js';

export interface PushOfSamples {
  /** Root of an own store. */
  readonly store: string;
  readonly roots: readonly string[];
  /** Directory of the cache. */
  readonly cache: string;
  readonly keys?: readonly SecretKey[];
  readonly compression?: WritableCompression;
  readonly checkAll?: boolean;
  readonly skipSignedBy?: readonly string[];
}

export interface PullOfSamples {
  readonly caches: readonly string[];
  readonly store: string;
  /** Store paths. */
  readonly roots: readonly string[];
  readonly keys?: readonly PublicKey[];
  readonly allowUnsigned?: boolean;
}

/** Pushes and pulls within this process: for tests that do it often. Both give the summary and the events. */
export function createTransfers() {
  const pool = createWorkerPool(1);
  const { signal } = new AbortController();
  return {
    async push({ store: root, roots, cache, keys = [], ...how }: PushOfSamples) {
      const { compression = 'zstd', checkAll = false, skipSignedBy = [] } = how;
      const events: PushEvent[] = [];
      const own = openOwnStore(root);
      const request = {
        store: own,
        own,
        closure: await runtimeClosure(own, roots),
        keys,
        packing: { compression, level: COMPRESSION_LEVELS[compression].default, listing: true },
        pins: {
          requests: [],
          signing: { keys, policy: pinPolicy({ keys: [], allowUnsigned: false }), seen: SEEN_NOTHING },
        },
        checkAll,
        skipSignedBy: { names: skipSignedBy, origin: 'the test' },
        realisations: [],
        dryRun: false,
      };
      const emit = (event: PushEvent) => void events.push(event);
      const summary = await pushClosure(openFileStore(cache), request, { pool, emit, signal });
      return { summary, events };
    },
    async pull({ caches, store: root, roots, keys = [], allowUnsigned = false }: PullOfSamples) {
      const events: PullEvent[] = [];
      const request = {
        targets: roots.map((path) => ({ hashPart: hashPartOf(path) })),
        destination: createOwnTarget(openOwnStore(root)),
        trust: pinPolicy({ keys, allowUnsigned }),
        seen: SEEN_NOTHING,
        links: NO_LINKS,
        dryRun: false,
      };
      const emit = (event: PullEvent) => void events.push(event);
      const summary = await pullClosure(caches.map(openFileStore), request, { pool, emit, signal });
      return { summary, events };
    },
    close: () => pool.close(),
  };
}

/** What nobody has seen before. */
export const SEEN_NOTHING: SeenPins = { newest: () => Promise.resolve(undefined), note: () => Promise.resolve() };

/** Makes no links. */
export const NO_LINKS: OutLinks = { check: () => Promise.resolve(), make: () => Promise.resolve() };

/** Takes pins of the same keys as paths, whatever their age. */
export function pinPolicy(trust: TrustPolicy): PinPolicy {
  return { ...trust, allowRollback: false, allowExpired: false, now: Date.now };
}

export type Transfers = ReturnType<typeof createTransfers>;

/** All narinfos of a cache, by store path. */
export async function narInfosOf(cache: string): Promise<ReadonlyMap<string, NarInfo>> {
  const objects = openFileStore(cache);
  const infos = new Map<string, NarInfo>();
  for await (const hashPart of listHashParts(objects)) {
    const info = (await readNarInfo(objects, hashPart))!;
    infos.set(info.path, info);
  }
  return infos;
}

/** What is wrong with a cache: NARs that are missing or not what their narinfo says, references that are missing. */
export async function faultsOf(cache: string): Promise<readonly string[]> {
  const infos = await narInfosOf(cache);
  const faults: string[] = [];
  for (const info of infos.values()) {
    const nar = await readFile(join(cache, narKey(info))).catch(() => undefined);
    if (nar === undefined) faults.push(`${info.path} has no NAR`);
    else if (!hashesEqual(hashBytes('sha256', nar), info.fileHash!)) faults.push(`the NAR of ${info.path} is damaged`);
    for (const reference of info.references) {
      if (!infos.has(reference)) faults.push(`${info.path} refers to ${reference}, which is not there`);
    }
  }
  return faults;
}
