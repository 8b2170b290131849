import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { listHashParts, narKey, readNarInfo } from '#cache/binary-cache.js';
import { orderCaches, planPull } from '#cache/pull/plan.js';
import { fetchAndRegister } from '#cache/pull/register.js';
import { createOwnTarget } from '#cache/pull/target.js';
import { planPush } from '#cache/push/plan.js';
import { beginPush, checkCache, finishPush } from '#cache/push/prepare.js';
import { publishPlan } from '#cache/push/publish.js';
import { COMPRESSION_LEVELS, type WritableCompression } from '#lib/compression/compressor.js';
import type { WorkEvent } from '#lib/events.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { PublicKey, SecretKey } from '#lib/signing/key.js';
import { runtimeClosure } from '#lib/store/closure.js';
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

/** Pushes and pulls within this process: for tests that do it often. Both give the events. */
export function createTransfers() {
  const pool = createWorkerPool(1);
  return {
    async push(samples: PushOfSamples) {
      const { store: root, roots, cache, keys = [], compression = 'zstd' } = samples;
      const { checkAll = false, skipSignedBy = [] } = samples;
      const events: WorkEvent[] = [];
      const objects = openFileStore(cache);
      const store = openOwnStore(root);
      const { graph } = await runtimeClosure(store, roots);
      const hasCache = await checkCache(objects, store.storeDir);
      const plan = await planPush(objects, { graph, keys, checkAll, skipSignedBy, hasCache });
      const level = COMPRESSION_LEVELS[compression].default;
      const emit = (event: WorkEvent) => void events.push(event);
      await beginPush(objects, store.storeDir, plan);
      await publishPlan(plan, { objects, store, pool, keys, compression, level, listing: true, emit });
      await finishPush(objects, store.storeDir, plan);
      return { plan, events };
    },
    async pull({ caches, store: root, roots, keys = [], allowUnsigned = false }: PullOfSamples) {
      const events: WorkEvent[] = [];
      const emit = (event: WorkEvent) => void events.push(event);
      const store = openOwnStore(root);
      const trust = { keys, allowUnsigned };
      const ordered = await orderCaches(caches.map(openFileStore), store.storeDir, emit);
      const plan = await planPull(
        ordered,
        store,
        roots.map((path) => ({ hashPart: hashPartOf(path) })),
        trust,
        emit,
      );
      const { signal } = new AbortController();
      await createOwnTarget(store).receive(pool, signal, (receiver) =>
        fetchAndRegister(plan, { caches: ordered, receiver, pool, trust, emit }),
      );
      return { plan, events };
    },
    close: () => pool.close(),
  };
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
