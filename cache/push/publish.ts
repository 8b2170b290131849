/** Uploads the paths of a plan, many at a time, and makes each visible after its references. */

import pLimit from 'p-limit';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { writeNarInfo } from '../binary-cache.js';
import { listNarsIfCheaper } from '../existing-objects.js';
import { addSignatures } from '../signatures.js';
import type { PushPlan } from './plan.js';
import { type UploadOptions, uploadNar } from './upload.js';

/** Paths that are packed or sent at a time: a server far away answers late, but many at once. */
const UPLOADS_AT_ONCE = 64;

/** Bytes from which a path is packed early: begun last, it would keep one thread busy while the others are done. */
const LARGE = 32 * 1024 * 1024;

/** The large ones first; the rest dependencies first, so that narinfos appear, and a push that is stopped has done part. */
function packingOrder(upload: readonly PathInfo[]): readonly PathInfo[] {
  const large = upload.filter(({ narSize }) => narSize >= LARGE).sort((a, b) => b.narSize - a.narSize);
  return [...large, ...upload.filter(({ narSize }) => narSize < LARGE)];
}

/** What a push has sent. */
export interface PushTotals {
  /** Compressed bytes that were written. */
  readonly fileSize: number;
}

/**
 * Uploads and signs what the plan says. A narinfo is written after its NAR and after the narinfos of its references, so
 * whatever is visible in the cache is complete at every instant, however this ends. The first failure, or the abort of
 * `signal`, stops what has not begun, and is thrown when what has is done.
 */
export async function publishPlan(
  plan: Pick<PushPlan, 'order' | 'upload' | 'sign'>,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<PushTotals> {
  const { objects, pool, keys, emit } = options;
  const failure = new AbortController();
  const stop = AbortSignal.any([failure.signal, signal]);
  // More than the threads have room for, so that they never wait for a result to be written.
  const small = pLimit(Math.max(pool.capacity + 2, UPLOADS_AT_ONCE));
  // Each may be a large file that waits for the network.
  const large = pLimit(pool.size + 1);
  let fileSize = 0;

  const nars = await listNarsIfCheaper(objects, plan.upload.length);
  const uploads = new Map<string, Promise<NarInfo>>();
  for (const info of packingOrder(plan.upload)) {
    const upload = (info.narSize >= LARGE ? large : small)(() => {
      stop.throwIfAborted();
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
    stop.throwIfAborted();
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
  stop.throwIfAborted();
  return { fileSize };
}
