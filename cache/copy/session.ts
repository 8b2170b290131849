/** Copies closures, pins or all of a cache to another, so that people can move, mirror and back up. */

import { createLimit, inDependencyOrder, mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { type NarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { inBatch } from '../batches/field.js';
import { createBatchWriter } from '../batches/write.js';
import { checkStoreDir, readCacheInfo, requireCacheInfo, writeCacheInfo, writeNarInfoText } from '../binary-cache.js';
import { listNarsIfCheaper } from '../existing-objects.js';
import { copyStatements } from '../keys/publish.js';
import { type Leased, type Leasing, withLease } from '../leases/lease.js';
import type { PinPolicy } from '../pins/check.js';
import { findPin } from '../pins/find.js';
import { renewPinListQuietly } from '../pins/list.js';
import type { Pin } from '../pins/pin.js';
import { listPinNames } from '../pins/pins.js';
import type { SeenPins } from '../pins/seen.js';
import type { WantedRoot } from '../pull/plan.js';
import { noSuchPin, type Target } from '../pull/targets.js';
import { refuseOrphanedNarInfos } from '../push/orphaned-narinfos.js';
import { allRecordedKeys, recordUpstreamKeys } from '../push/upstream-keys.js';
import { publishRealisations } from '../realisations/publish.js';
import { copyNar, type NarCopying } from './nar.js';
import { readPins, writePins } from './pins.js';
import {
  type CopySource,
  type LeftOutPath,
  type MissingPaths,
  missingAt,
  rootsAmong,
  type WantedPaths,
  wantAll,
  wantClosures,
} from './plan.js';
import { readRealisations } from './realisations.js';

/** Paths that are on their way at a time. */
const AT_ONCE = 64;

/** What is copied, and what is believed of it. */
export interface CopyRequest {
  /** Nothing stands for all that the cache has, and its pins. */
  readonly targets: readonly Target[];
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  /** Sign what is copied, beside the signatures that it has. */
  readonly keys: readonly SecretKey[];
  /** Look what would be copied; change nothing. */
  readonly dryRun: boolean;
}

/** What a copy works with. */
export interface CopyWork extends Work<ActivityEvent> {
  readonly pool: WorkerPool;
  /** How garbage collections are told of it, where that is not as it ships. */
  readonly leasing?: Leasing;
}

/** What became of a copy. Of a dry run, what would become. */
export interface CopySummary {
  readonly copied: number;
  readonly present: number;
  /** Bytes of compressed NARs that were copied, or are there from an earlier run. */
  readonly fileSize: number;
  /** Names of pins that were written. */
  readonly pins: readonly string[];
  readonly leftOut: readonly LeftOutPath[];
}

/**
 * Copies from one cache to another what is missing there: each NAR as it is, compared with what was signed; narinfos after their
 * references, pins last. So what is visible there is complete however this ends, and a copy that is run again goes on.
 */
export async function copyCache(
  from: ObjectStore,
  to: ObjectStore,
  request: CopyRequest,
  work: CopyWork,
): Promise<CopySummary> {
  const info = await requireCacheInfo(from);
  const there = await readCacheInfo(to);
  if (there) checkStoreDir(to, there.storeDir, info.storeDir);
  else await refuseOrphanedNarInfos(to);
  const leftOutKeys = await allRecordedKeys(from);
  const source = { from, storeDir: info.storeDir, trust: request.policy, leftOutKeys };
  const { wanted, pins } = await want(source, request, work);
  const whole = withoutLeftOut(pins, wanted);
  if (request.dryRun) {
    const { copy, present } = await missingAt(to, wanted.infos, { trust: request.policy, keys: request.keys });
    const names = whole.map(({ name }) => name);
    return { copied: copy.length, present, leftOut: wanted.leftOut, fileSize: sizeOf(copy), pins: names };
  }
  const lease = { paths: wanted.infos.keys(), emit: work.emit, signal: work.signal };
  const copy = async ({ objects, refresh }: Leased) => {
    // Only now: before the lease a garbage collection might have taken away what was seen.
    const missing = await missingAt(objects, wanted.infos, { trust: request.policy, keys: request.keys });
    if (!there) await writeCacheInfo(objects, info);
    await recordUpstreamKeys(objects, leftOutKeys);
    const fileSize = await copyPaths(missing, from, objects, request, work);
    await refresh(rootsAmong(wanted.infos));
    await copyStatements(from, objects, wanted.infos.values(), work.emit);
    const written = await writePins(objects, whole, work.emit);
    if (written.length > 0) await renewPinListQuietly(objects, request.keys, { added: written }, work.emit);
    const { present } = missing;
    return { copied: missing.copy.length, present, leftOut: wanted.leftOut, fileSize, pins: written };
  };
  return withLease(to, lease, copy, work.leasing);
}

async function want(
  source: CopySource,
  { targets, policy, seen }: CopyRequest,
  { emit }: Pick<CopyWork, 'emit'>,
): Promise<{ readonly wanted: WantedPaths; readonly pins: readonly Pin[] }> {
  const { from } = source;
  if (targets.length === 0) {
    const pins = await readPins(from, await listPinNames(from), policy);
    return { wanted: await wantAll(source), pins };
  }
  const wanted: WantedRoot[] = [];
  const pins = await mapAtMost(AT_ONCE, targets, async (target) => {
    if ('hashPart' in target) {
      wanted.push(target);
      return [];
    }
    const found = await findPin([from], target.pin, policy, seen, emit);
    if (found === undefined) throw await noSuchPin(target.pin.name, [from]);
    const { storePaths, derivations } = found.value;
    wanted.push(...[...storePaths, ...derivations].map((path) => ({ path, hashPart: hashPartOf(path) })));
    // An older value is copied without the pin, which says more.
    return found.value === found.pin || found.value.since === found.pin.since ? [found.pin] : [];
  });
  return { wanted: await wantClosures(wanted, source), pins: pins.flat() };
}

/** Copies what is planned, each path after its references. Gives the bytes of the NARs. */
async function copyPaths(
  { copy }: MissingPaths,
  from: ObjectStore,
  to: ObjectStore,
  { keys, policy }: CopyRequest,
  { emit, signal, pool }: CopyWork,
): Promise<number> {
  const infos = new Map(copy.map((info) => [info.path, info]));
  const bytes = copy.reduce((sum, { narSize }) => sum + narSize, 0);
  emit({ type: 'started', verb: 'copy', unit: 'paths', items: copy.length, bytes });
  const nars = await listNarsIfCheaper(to, copy.length);
  const realisations = await readRealisations(from, copy, policy, emit);
  const onProgress = (done: number) => emit({ type: 'progress', bytes: done });
  const copying: NarCopying = { from, to, pool, keys, nars, onProgress };
  const limit = createLimit(AT_ONCE);
  // What has realisations tells of them later, when its batch is written.
  const together = copy.filter(({ path }) => !realisations.has(path));
  const names = keys.map(({ name }) => name);
  const batches = createBatchWriter(together, names, { objects: to, emit });
  let fileSize = 0;
  const done = inDependencyOrder(
    [...infos.keys()],
    (path) => infos.get(path)!.references,
    {
      prepare: (path) => copyNar(infos.get(path)!, copying),
      async publish(path, info) {
        const text = renderNarInfo(inBatch(info, batches.batchOf(path)));
        await writeNarInfoText(to, hashPartOf(path), text);
        batches.add(path, text);
        await publishRealisations(to, realisations.get(path) ?? [], keys);
        fileSize += info.fileSize ?? 0;
        emit({ type: 'item-finished', name: path, size: info.fileSize ?? 0 });
      },
    },
    { prepare: () => limit, signal },
  );
  await batches.finish(done);
  return fileSize;
}

/** Pins whose paths are all copied, or were there. */
function withoutLeftOut(pins: readonly Pin[], { leftOut }: WantedPaths): readonly Pin[] {
  const gone = new Set(leftOut.map(({ path }) => path));
  const isWhole = ({ storePaths, derivations }: Pin) =>
    [...storePaths, ...derivations].every((path) => !gone.has(path) && !gone.has(hashPartOf(path)));
  return pins.filter(isWhole);
}

function sizeOf(infos: readonly NarInfo[]): number {
  return infos.reduce((sum, { fileSize = 0 }) => sum + fileSize, 0);
}

/** The error of a copy that has left something out. */
export function leftOutError(from: ObjectStore, leftOut: readonly LeftOutPath[]): CarportError {
  const number = leftOut.length === 1 ? '1 path' : `${leftOut.length} paths`;
  return new CarportError('E_SIGNATURE', `${number} of \`${from.url}\` stayed behind; all others are copied`, {
    hint: 'see the warnings: `--trusted-key` names the keys that are believed, `carport cache fsck` what is broken',
  });
}
