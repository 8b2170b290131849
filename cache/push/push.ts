/** Packs the paths of a plan and writes them, each after its references. */

import { rm } from 'node:fs/promises';
import pLimit from 'p-limit';
import { WRITABLE_COMPRESSIONS, type WritableCompression } from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { formatHash, hashesEqual } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Store } from '../../lib/store/store.js';
import type { PackResult } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { writeListing, writeNar, writeNarInfo } from '../binary-cache.js';
import { listNarsIfCheaper } from '../existing-objects.js';
import { addSignatures, withSignatures } from '../signatures.js';
import type { PushPlan } from './plan.js';

export interface PushOptions {
  readonly objects: ObjectStore;
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly keys: readonly SecretKey[];
  readonly compression: WritableCompression;
  readonly level: number;
  readonly listing: boolean;
  readonly emit: Emit;
}

export interface PushTotals {
  /** Compressed bytes that were written. */
  readonly fileSize: number;
}

/**
 * Does what the plan says. A narinfo is written after its NAR and after the narinfos of its references, so whatever is
 * visible in the cache is complete at every instant, however this ends. The first failure stops what has not begun.
 */
export async function push(plan: PushPlan, options: PushOptions): Promise<PushTotals> {
  const { objects, pool, keys, emit } = options;
  const failure = new AbortController();
  // More than the threads have room for, so that they never wait for a result to be written.
  const small = pLimit(Math.max(pool.capacity + 2, UPLOADS_AT_ONCE));
  // Each may be a large file that waits for the network.
  const large = pLimit(pool.size + 1);
  let fileSize = 0;

  const nars = await listNarsIfCheaper(objects, plan.upload.length);
  const uploads = new Map<string, Promise<NarInfo>>();
  for (const info of packingOrder(plan.upload)) {
    const upload = (info.narSize >= LARGE ? large : small)(() => {
      failure.signal.throwIfAborted();
      return uploadNar(info, nars, options);
    });
    uploads.set(info.path, upload);
  }
  const unsigned = new Map(plan.sign.map((info) => [info.path, info]));
  const published = new Map<string, Promise<void>>();
  const publish = async ({ path, references }: PathInfo): Promise<void> => {
    const uploaded = await uploads.get(path);
    await Promise.all(
      references.filter((reference) => reference !== path).map((reference) => published.get(reference)),
    );
    failure.signal.throwIfAborted();
    const old = unsigned.get(path);
    if (old) await small(() => addSignatures(objects, old, keys));
    if (uploaded === undefined) return;
    await writeNarInfo(objects, uploaded);
    const uploadedSize = uploaded.fileSize ?? 0;
    fileSize += uploadedSize;
    emit({ type: 'path-finished', path, narSize: uploaded.narSize, fileSize: uploadedSize });
  };
  for (const info of plan.order) {
    const done = publish(info);
    done.catch((error) => failure.abort(error));
    published.set(info.path, done);
  }
  await Promise.allSettled(published.values());
  failure.signal.throwIfAborted();
  return { fileSize };
}

/** Paths that are packed or sent at a time: a server far away answers late, but many at once. */
const UPLOADS_AT_ONCE = 64;

/** Bytes from which a path is packed early: begun last, it would keep one thread busy while the others are done. */
const LARGE = 32 * 1024 * 1024;

/** The large ones first; the rest dependencies first, so that narinfos appear, and a push that is stopped has done part. */
function packingOrder(upload: readonly PathInfo[]): readonly PathInfo[] {
  const large = upload.filter(({ narSize }) => narSize >= LARGE).sort((a, b) => b.narSize - a.narSize);
  return [...large, ...upload.filter(({ narSize }) => narSize < LARGE)];
}

/** Packs a path and stores its NAR and listing; its narinfo is not visible yet. */
async function uploadNar(
  info: PathInfo,
  nars: ReadonlyMap<string, number> | undefined,
  options: PushOptions,
): Promise<NarInfo> {
  const { objects, store, pool, keys, compression, level, listing, emit } = options;
  const spoolPath = await objects.spoolName();
  emit({ type: 'path-started', path: info.path, narSize: info.narSize });
  // Until it is known: a job that fails may have left its file.
  let spooled = true;
  try {
    const packed = await pool.run(
      { type: 'pack', path: store.realPath(info), compression, level, listing, spoolPath },
      { onProgress: (bytes) => emit({ type: 'progress', bytes }), weight: info.narSize },
    );
    checkPacked(info, packed);
    spooled = packed.bytes === undefined;
    const url = `nar/${formatHash(packed.fileHash, 'nix32')}.nar${WRITABLE_COMPRESSIONS[compression]}`;
    const nar = packed.bytes ?? { path: spoolPath, size: packed.fileSize };
    const sent = await isThere(objects, url, packed, nars);
    // Both to their end: the file is removed after that.
    const written = await Promise.allSettled([
      sent || writeNar(objects, url, nar),
      packed.listing !== undefined && writeListing(objects, hashPartOf(info.path), packed.listing),
    ]);
    const failed = written.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return toNarInfo(info, packed, url, compression, keys);
  } finally {
    if (spooled) await removeSpool(spoolPath);
  }
}

/** A push that ended early may have sent it. The key is the content's hash, so the size tells enough. */
async function isThere(
  objects: ObjectStore,
  key: string,
  { fileSize, bytes }: PackResult,
  nars: ReadonlyMap<string, number> | undefined,
): Promise<boolean> {
  if (nars) return nars.get(key) === fileSize;
  // Small ones are sent again sooner than asked for; a rename in a directory costs nothing.
  if (bytes !== undefined || objects.localPath !== undefined) return false;
  return (await objects.size(key)) === fileSize;
}

/** With what a job that was stopped leaves beside it. */
async function removeSpool(spoolPath: string): Promise<void> {
  for (const ending of ['', '.nar', '.xz']) await rm(`${spoolPath}${ending}`, { force: true });
}

/** What was read must be what the store says it is: a store may be damaged, and nothing of that may be signed. */
function checkPacked(info: PathInfo, packed: PackResult): void {
  if (hashesEqual(packed.narHash, info.narHash) && packed.narSize === info.narSize) return;
  const [wanted, got] = [info.narHash, packed.narHash].map((hash) => formatHash(hash, 'sri'));
  throw new CarportError('E_INTEGRITY', `\`${info.path}\` is damaged in the store, and was not pushed`, {
    cause: new Error(`its NAR hash is ${got}, not ${wanted}`),
    hint: `\`nix-store --verify-path ${info.path}\` or \`carport store verify\` read it again, and tell more`,
  });
}

function toNarInfo(
  info: PathInfo,
  { fileHash, fileSize }: PackResult,
  url: string,
  compression: WritableCompression,
  keys: readonly SecretKey[],
): NarInfo {
  const unsigned = { ...info, references: [...info.references].sort(), url, compression, fileHash, fileSize };
  return withSignatures({ ...unsigned, unknownFields: [] }, keys);
}
