/** Uploads the paths of a plan, many at a time, and makes each visible after its references. */

import { allDone, createLimit, type DependencyLimits, inDependencyOrder } from '../../lib/concurrency.js';
import { renderNarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { createRenewal } from '../batches/renew.js';
import { writeNarInfoText } from '../binary-cache.js';
import { listNarsIfCheaper } from '../existing-objects.js';
import { addSignatures, writeNewNarInfo } from '../signatures.js';
import { createListingWriter, worthListing } from './listings.js';
import type { PushPlan } from './plan.js';
import { createSmallUploads, type SmallUploads } from './small-uploads.js';
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

/** A path whose NAR is there. */
interface Uploaded {
  readonly fileSize: number;
  /** Its narinfo, unless that is there, too. */
  readonly text?: string;
}

/** What a push has sent. */
export interface PushTotals {
  /** Compressed bytes that were written. */
  readonly fileSize: number;
  /** Whether another push was met, which writes the same. */
  readonly hasMetOthers: boolean;
}

/**
 * Uploads and signs what the plan says. A narinfo is written after its NAR and after the narinfos of its references, so
 * whatever is visible in the cache is complete at every instant, however this ends. The first failure, or the abort of
 * `signal`, stops what has not begun, and is thrown when what has is done.
 */
export async function publishPlan(
  plan: Pick<PushPlan, 'order' | 'upload' | 'sign' | 'damaged'>,
  options: UploadOptions,
  signal: AbortSignal,
): Promise<PushTotals> {
  const { objects, pool, keys, emit, batches } = options;
  const nars = await listNarsIfCheaper(objects, plan.upload.length);
  const infos = new Map(plan.order.map((info) => [info.path, info]));
  const uploads = new Map(plan.upload.map((info) => [info.path, info]));
  const unsigned = new Map(plan.sign.map((info) => [info.path, info]));
  const writeListingOf = createListingWriter({ objects, emit });
  const isListed = worthListing(plan.upload, options);
  const renewal = createRenewal(objects);
  const damaged = new Set(plan.damaged);
  let fileSize = 0;
  let hasMetOthers = false;

  const together = createSmallUploads(plan, isListed, nars, options);

  const upload = async (path: string): Promise<Uploaded | undefined> => {
    const info = uploads.get(path);
    if (info === undefined) return undefined;
    const result = together.has(path) ? await together.upload(path) : undefined;
    if (result && result.state !== 'refused') {
      emit({ type: 'path-started', path, narSize: info.narSize });
      emit({ type: 'progress', bytes: info.narSize });
      if (result.narInfo !== undefined) batches?.add(path, result.narInfo);
      return { fileSize: result.fileSize, ...(result.state === 'packed' && { text: result.narInfo }) };
    }
    const narInfo = await uploadNar(info, nars, writeListingOf, { ...options, listing: isListed(info) });
    const text = renderNarInfo(narInfo);
    batches?.add(path, text);
    return { fileSize: narInfo.fileSize ?? 0, text };
  };
  const publish = async (path: string, uploaded: Uploaded | undefined): Promise<void> => {
    const old = unsigned.get(path);
    if (old) renewal.note(await addSignatures(objects, old, keys));
    if (uploaded === undefined) return;
    if (uploaded.text !== undefined) {
      if (damaged.has(path)) await writeNarInfoText(objects, hashPartOf(path), uploaded.text);
      else if (await writeNewNarInfo(objects, path, uploaded.text)) hasMetOthers = true;
    }
    fileSize += uploaded.fileSize;
    emit({ type: 'path-finished', path, narSize: uploads.get(path)!.narSize, fileSize: uploaded.fileSize });
  };
  const work = { prepare: upload, publish };
  const limits = { ...limitsOf(plan, together, pool), signal };
  const done = inDependencyOrder([...infos.keys()], (path) => infos.get(path)!.references, work, limits);
  await allDone([renewal.finish(done), batches?.finish(done) ?? done]);
  return { fileSize, hasMetOthers };
}

/** How many paths are on their way at a time, by their size. */
function limitsOf(
  { upload, sign }: Pick<PushPlan, 'upload' | 'sign'>,
  together: SmallUploads,
  pool: UploadOptions['pool'],
): DependencyLimits<string> {
  // More than the threads have room for, so that they never wait for a result to be written.
  const small = createLimit(Math.max(pool.capacity + 2, UPLOADS_AT_ONCE));
  // Each may be a large file that waits for the network.
  const large = createLimit(pool.size + 1);
  const many = createLimit(together.atOnce);
  const sizes = new Map(upload.map(({ path, narSize }) => [path, narSize]));
  const unsigned = new Set(sign.map(({ path }) => path));
  return {
    prepareFirst: packingOrder(upload).map(({ path }) => path),
    prepare(path) {
      const narSize = sizes.get(path);
      if (narSize === undefined) return undefined;
      if (together.has(path)) return many;
      return narSize >= LARGE ? large : small;
    },
    publish: (path) => (unsigned.has(path) ? small : undefined),
  };
}
