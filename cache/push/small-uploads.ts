/**
 * Small paths of a push, many in one job: a message, a promise and a signature on the main thread for each would take longer than to
 * pack it. Threads put them into a directory themselves; into a bucket the NARs are sent from here.
 */

import { dirname } from 'node:path';
import { WRITABLE_COMPRESSIONS } from '../../lib/compression/compressor.js';
import { toHex } from '../../lib/nix/hash.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { signatureKeyName } from '../../lib/signing/signature.js';
import { SMALL_PATH, type SmallPath, type SmallPathResult } from '../../lib/workers/jobs.js';
import { batchField, type ToldBatch } from '../batches/field.js';
import { writeNar } from '../binary-cache.js';
import { narInfoKey, newNarKey } from '../layout.js';
import type { NarSizes } from '../nars.js';
import type { PushPlan } from './plan.js';
import type { UploadOptions } from './upload.js';

/** What one job takes: so many paths, of so many bytes. */
const MOST_PATHS = 64;
const MOST_BYTES = 1024 * 1024;

/** Fewer paths are not worth it. */
const FEW = 8;

/** Paths whose jobs are begun at a time, for each thread: one job is under way, and one waits. */
const SMALL_AT_ONCE = 2 * MOST_PATHS;

/** Uploads of small paths. */
export interface SmallUploads {
  /** Paths that are worth to be asked for at a time. */
  readonly atOnce: number;
  has(path: string): boolean;
  /** Packs a path with others, and stores its NAR. Once for each. */
  upload(path: string): Promise<SmallPathResult>;
}

interface Batch {
  readonly infos: PathInfo[];
  bytes: number;
  results?: Promise<Map<string, SmallPathResult>>;
}

/** The small paths of a plan, as far as threads can put them there themselves; those that `isListed` have a listing, too. */
export function createSmallUploads(
  plan: Pick<PushPlan, 'order' | 'upload' | 'sign'>,
  isListed: (info: PathInfo) => boolean,
  nars: NarSizes | undefined,
  options: UploadOptions,
): SmallUploads {
  const { objects, pool, compression } = options;
  const isSmall = (info: PathInfo) =>
    info.narSize <= SMALL_PATH && info.narHash.algorithm === 'sha256' && !isListed(info);
  const small = compression === 'xz' ? [] : plan.upload.filter(isSmall);
  const batchOf = small.length < FEW ? new Map<string, Batch>() : batchesOf(small);
  const mayBeSeen = visibleAfter(plan, batchOf);
  return {
    // What is sent is held in memory meanwhile, and a few jobs are as many requests as go at a time.
    atOnce: objects.placeOf ? SMALL_AT_ONCE * (pool.size + 1) : SMALL_AT_ONCE,
    has: (path) => batchOf.has(path),
    async upload(path) {
      const batch = batchOf.get(path)!;
      batch.results ??= pack(batch.infos, mayBeSeen, options);
      const results = await batch.results;
      const result = results.get(path)!;
      results.delete(path);
      const nar = result.state === 'packed' ? result.nar : undefined;
      if (nar && nars?.get(nar.key) !== nar.bytes.length) await writeNar(objects, nar.key, nar.bytes);
      return result;
    },
  };
}

/** Starts the threads for so many paths, of which most are small as a rule, where these will be packed so: meanwhile a plan is made. */
export function prepareSmallUploads(
  paths: number,
  options: Pick<UploadOptions, 'pool' | 'compression' | 'level'>,
): void {
  if (paths >= FEW * options.pool.size) startSmallUploads(options);
}

/** The same for paths of which the number is not known yet. */
export function startSmallUploads({
  pool,
  compression,
  level,
}: Pick<UploadOptions, 'pool' | 'compression' | 'level'>): void {
  if (compression === 'xz') return;
  const nothing = { paths: '[]', ending: '', narKey: '', keys: [] };
  for (let thread = 0; thread < pool.size; thread++) {
    // What is wrong with the threads is told by those who wait for them.
    pool.run({ type: 'pack-small', ...nothing, compression, level }, { weight: 0 }).catch(() => undefined);
  }
}

function batchesOf(infos: readonly PathInfo[]): Map<string, Batch> {
  const batchOf = new Map<string, Batch>();
  let batch: Batch | undefined;
  for (const info of infos) {
    const isFull = batch && (batch.infos.length === MOST_PATHS || batch.bytes + info.narSize > MOST_BYTES);
    if (batch === undefined || isFull) batch = { infos: [], bytes: 0 };
    batch.infos.push(info);
    batch.bytes += info.narSize;
    batchOf.set(info.path, batch);
  }
  return batchOf;
}

/**
 * Of which paths the narinfo may be written by the thread: what they refer to is there already, or comes before them in the same
 * batch and may be seen, too. Not of roots: a push writes these itself, since they keep what they refer to.
 */
function visibleAfter(
  { order, upload, sign }: Pick<PushPlan, 'order' | 'upload' | 'sign'>,
  batchOf: ReadonlyMap<string, Batch>,
): ReadonlySet<string> {
  const waiting = new Set([...upload, ...sign].map(({ path }) => path));
  const below = new Set(order.flatMap(({ path, references }) => references.filter((to) => to !== path)));
  const seen = new Set<string>();
  for (const { path, references } of upload) {
    const batch = batchOf.get(path);
    const isThere = (to: string) => to === path || !waiting.has(to) || (seen.has(to) && batchOf.get(to) === batch);
    if (batch && below.has(path) && references.every(isThere)) seen.add(path);
  }
  return seen;
}

function fieldOf(batch: ToldBatch | undefined): Pick<SmallPath, 'field'> {
  return batch ? { field: batchField(batch) } : {};
}

/** Has a thread pack paths, and put them into the cache where it can. */
async function pack(
  infos: readonly PathInfo[],
  mayBeSeen: ReadonlySet<string>,
  { objects, store, pool, keys, compression, level, until, batches }: UploadOptions,
): Promise<Map<string, SmallPathResult>> {
  const place = objects.placeOf;
  const ending = WRITABLE_COMPRESSIONS[compression];
  const anyKey = newNarKey(infos[0]!.narHash, ending);
  const names = new Set(keys.map(({ name }) => name));
  const paths = infos.map(
    (info): SmallPath => ({
      ...{ storePath: info.path, realPath: store.realPath(info), narHash: toHex(info.narHash.digest) },
      ...{ narSize: info.narSize, references: [...info.references].sort(), deriver: info.deriver, ca: info.ca },
      signatures: info.signatures.filter((signature) => !names.has(signatureKeyName(signature))),
      ...(place && mayBeSeen.has(info.path) && { narInfo: place(narInfoKey(hashPartOf(info.path))) }),
      ...fieldOf(batches?.batchOf(info.path)),
    }),
  );
  const directory = place && { directory: dirname(place(anyKey)), temporary: await objects.spoolName() };
  const results = await pool.run(
    {
      ...{ type: 'pack-small', paths: JSON.stringify(paths), compression: compression as 'zstd' | 'none', level },
      ...{ ending, narKey: `${dirname(anyKey)}/`, place: directory },
      keys: keys.map(({ name, privateKey }) => ({ name, privateKey })),
      until: until?.(),
    },
    { weight: infos.reduce((sum, { narSize }) => sum + narSize, 0) / 2 },
  );
  return new Map(infos.map(({ path }, index) => [path, results[index]!]));
}
