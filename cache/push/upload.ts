/** Packs a path and sends its NAR: its narinfo is made here, and is not visible yet. */

import { rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { hashPartList } from '../../lib/compression/chunks/hash-parts.js';
import { WRITABLE_COMPRESSIONS, type WritableCompression } from '../../lib/compression/compressor.js';
import { checkedContentAddress } from '../../lib/nix/content-address.js';
import { formatHash, hashesEqual } from '../../lib/nix/hash.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { damagedInStore, explainReading } from '../../lib/store/damaged.js';
import type { Store } from '../../lib/store/store.js';
import type { Emit } from '../../lib/work.js';
import type { PackResult } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { inBatch } from '../batches/field.js';
import type { BatchWriter } from '../batches/write.js';
import { writeNar } from '../binary-cache.js';
import { fieldsOfContents } from '../contents/signed-contents.js';
import { newNarKey } from '../layout.js';
import type { Leased } from '../leases/lease.js';
import type { NarSizes } from '../nars.js';
import { withSignatures } from '../signatures.js';
import type { PushEvent } from './events.js';
import type { ListingWriter } from './listings.js';

/** How paths become NARs of a cache. */
export interface Packing {
  readonly compression: WritableCompression;
  readonly level: number;
  /** Whether `.ls` listings are written beside narinfos. */
  readonly listing: boolean;
  /** Whether there is one for each small NAR, too, however many there are. */
  readonly smallListings?: boolean | undefined;
}

/** What it takes to pack, sign and send paths. */
export interface UploadOptions extends Packing {
  readonly objects: ObjectStore;
  /** Where the paths are. */
  readonly store: Store;
  readonly pool: WorkerPool;
  readonly keys: readonly SecretKey[];
  readonly emit: Emit<PushEvent>;
  /** Which narinfos lie together. */
  readonly batches?: BatchWriter | undefined;
  /** As in `Leased`. */
  readonly until?: Leased['until'] | undefined;
}

/** Packs a path and stores its NAR and listing; gives the signed narinfo, which is not written yet. `nars`: what a listing told. */
export async function uploadNar(
  info: PathInfo,
  nars: NarSizes | undefined,
  writeListingOf: ListingWriter,
  options: UploadOptions,
): Promise<NarInfo> {
  const { objects, store, pool, keys, compression, level, listing, emit } = options;
  const spoolPath = await objects.spoolName();
  const ending = WRITABLE_COMPRESSIONS[compression];
  const place = objects.placeOf && { directory: dirname(objects.placeOf(newNarKey(info.narHash, ending))), ending };
  emit({ type: 'path-started', path: info.path, narSize: info.narSize });
  // Until it is known: a job that fails may have left its file.
  let spooled = true;
  try {
    const packed = await pool.run(
      {
        ...{ type: 'pack', path: store.realPath(info), compression, level, listing, spoolPath },
        hashParts: hashPartList(info),
        ...(place && { place: { ...place, nar: { narHash: info.narHash, narSize: info.narSize } } }),
      },
      { onProgress: (bytes) => emit({ type: 'progress', bytes }), weight: info.narSize },
    );
    checkPacked(info, packed);
    spooled = packed.bytes === undefined && !packed.isPlaced;
    const url = newNarKey(packed.fileHash, ending);
    const nar = packed.bytes ?? { path: spoolPath, size: packed.fileSize };
    const sent = packed.isPlaced === true || (await isThere(objects, url, packed, nars));
    // Both to their end: the file is removed after that.
    const written = await Promise.allSettled([
      sent || writeNar(objects, url, nar),
      packed.listing !== undefined && writeListingOf(info.path, packed.listing),
    ]);
    const failed = written.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
    return inBatch(toNarInfo(info, packed, url, compression, keys), options.batches?.batchOf(info.path));
  } catch (error) {
    throw explainReading(error, info, store.realPath(info), NOT_PUSHED);
  } finally {
    if (spooled) await removeSpool(spoolPath);
  }
}

/** Whether the NAR need not be sent: a push that ended early may have sent it. The key is the content's hash, so the size tells enough. */
async function isThere(
  objects: ObjectStore,
  key: string,
  { fileSize, bytes }: PackResult,
  nars: NarSizes | undefined,
): Promise<boolean> {
  if (nars) return nars.get(key) === fileSize;
  // Small ones are sent again sooner than asked for; a rename in a directory costs nothing.
  if (bytes !== undefined || objects.traits.isImmediate) return false;
  return (await objects.stat(key))?.size === fileSize;
}

/** Removes a spooled file, with what a job that was stopped leaves beside it. */
async function removeSpool(spoolPath: string): Promise<void> {
  for (const ending of ['', '.nar', '.xz']) await rm(`${spoolPath}${ending}`, { force: true });
}

const NOT_PUSHED = ', and was not pushed';

/** What was read must be what the store says it is: a store may be damaged, and nothing of that may be signed. */
function checkPacked(info: PathInfo, packed: PackResult): void {
  if (hashesEqual(packed.narHash, info.narHash) && packed.narSize === info.narSize) return;
  const wanted = formatHash(info.narHash, 'sri');
  const got = formatHash(packed.narHash, 'sri');
  throw damagedInStore(info, NOT_PUSHED, new Error(`its NAR hash is ${got}, not ${wanted}`));
}

function toNarInfo(
  info: PathInfo,
  { fileHash, fileSize, chunks, listing }: PackResult,
  url: string,
  compression: WritableCompression,
  keys: readonly SecretKey[],
): NarInfo {
  const { ca: _, ...said } = info;
  // No signature covers it: what is wrong is not handed on.
  const ca = checkedContentAddress(info);
  const references = [...info.references].sort();
  const unsigned = { ...said, references, ...(ca && { ca }), url, compression, fileHash, fileSize };
  return withSignatures({ ...unsigned, unknownFields: fieldsOfContents(info, chunks, listing, keys) }, keys);
}
