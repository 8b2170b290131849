/** Copies the NAR and the listing of one path to another cache; what its narinfo says there is made here. */

import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { largestFile } from '../../lib/compression/verified-nar.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { TEMPORARY } from '../../lib/filesystem/temporary.js';
import { checkedContentAddress } from '../../lib/nix/content-address.js';
import { parseListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { SpooledFile } from '../../lib/workers/jobs.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { inBatch } from '../batches/field.js';
import { expectedNar, readListing, writeListing, writeNar } from '../binary-cache.js';
import { NAR_ENDINGS, narKey, newNarKey } from '../layout.js';
import type { NarSizes } from '../nars.js';
import { withSignatures } from '../signatures.js';
import { checkNar, readNar } from '../verify/checked-nar.js';

/** Where NARs are from and go to. */
export interface NarCopying {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly pool: WorkerPool;
  readonly keys: readonly SecretKey[];
  /** NARs that are there already, where they were listed. */
  readonly nars: NarSizes | undefined;
  /** Told of bytes of NAR. */
  readonly onProgress: (bytes: number) => void;
}

/**
 * Copies a NAR as it is, compressed as it is, under the hash of its bytes; reads, decompresses and compares it on the way with what
 * was signed. Gives the narinfo for the other cache, which is not written yet.
 */
export async function copyNar(info: NarInfo, copying: NarCopying): Promise<NarInfo> {
  const there = (await promisedFile(info, copying)) ?? (await takeOnServer(info, copying));
  const { fileHash, fileSize } = there ?? (await carry(info, copying));
  await copyListing(info, copying);
  const { ca: _, ...said } = info;
  // No signature covers it: what is wrong is not handed on.
  const ca = checkedContentAddress(info);
  const url = narKeyOf(info, fileHash);
  // Its batch is one of the other cache.
  return inBatch(withSignatures({ ...said, ...(ca && { ca }), url, fileHash, fileSize }, copying.keys), undefined);
}

function narKeyOf({ compression }: NarInfo, fileHash: SpooledFile['fileHash']): string {
  const ending = NAR_ENDINGS[compression] ?? `.${compression.replace(/[^a-z0-9]/g, '')}`;
  return newNarKey(fileHash, ending);
}

/** A file that an earlier copy, or a push, has put there. */
async function promisedFile(
  info: NarInfo,
  { to, nars, pool, onProgress }: NarCopying,
): Promise<Pick<SpooledFile, 'fileHash' | 'fileSize'> | undefined> {
  const { fileHash, fileSize } = info;
  if (fileHash?.algorithm !== 'sha256' || fileSize === undefined) return undefined;
  const key = narKeyOf(info, fileHash);
  const size = nars?.get(key) ?? (nars ? undefined : (await to.stat(key))?.size);
  if (size !== fileSize) return undefined;
  try {
    // Nobody has signed which file it is: it is read there instead of here.
    await checkNar(to, { ...info, url: key }, pool, { onProgress });
    return { fileHash, fileSize };
  } catch (error) {
    if (hasCode(error, 'E_INTEGRITY', 'E_FORMAT', 'E_UNSUPPORTED', 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

/**
 * Where both caches are of one server, that copies the file: no byte is sent, and it is read there once. Nobody has signed which
 * file it is, so it has a name of its own until then.
 */
async function takeOnServer(
  info: NarInfo,
  { from, to, pool, onProgress }: NarCopying,
): Promise<Pick<SpooledFile, 'fileHash' | 'fileSize'> | undefined> {
  const { fileHash, fileSize = Number.POSITIVE_INFINITY } = info;
  if (!from.servedAs || !to.takeServed || fileHash?.algorithm !== 'sha256') return undefined;
  const size = (await from.stat(narKey(info)))?.size;
  if (size !== fileSize || fileSize > largestFile(info.narSize)) return undefined;
  const store = asWritable(to, 'where nothing is copied');
  const temporary = `${TEMPORARY}copy-${randomBytes(12).toString('hex')}`;
  if (!(await to.takeServed(await from.servedAs(narKey(info)), temporary))) return undefined;
  try {
    await checkNar(to, { ...info, url: temporary }, pool, { onProgress });
    await store.copy(temporary, narKeyOf(info, fileHash));
    return { fileHash, fileSize };
  } catch (error) {
    // It is read from the other cache, as often as that may give other bytes the next time.
    if (hasCode(error, 'E_INTEGRITY', 'E_FORMAT', 'E_UNSUPPORTED', 'E_NOT_FOUND')) return undefined;
    throw error;
  } finally {
    await store.remove([temporary]);
  }
}

async function carry(info: NarInfo, { from, to, pool, onProgress }: NarCopying): Promise<SpooledFile> {
  const { fileSize = 0 } = info;
  if (fileSize > largestFile(info.narSize)) throw tooLarge(info, from.url);
  const spoolPath = await to.spoolName();
  const job = { type: 'fetch', promise: expectedNar(info), spoolPath } as const;
  const how = { onProgress, weight: info.narSize };
  try {
    const file = await readNar(from, info, async (source) => {
      await rm(spoolPath, { force: true });
      return 'file' in source ? pool.run({ ...job, ...source }, how) : pool.run(job, { ...how, ...source });
    });
    const key = narKeyOf(info, file.fileHash);
    await writeNar(to, key, file.bytes ?? { path: spoolPath, size: file.fileSize });
    return file;
  } finally {
    await rm(spoolPath, { force: true });
  }
}

/** Nobody has signed how large a file is, and it is written to this machine's disk. */
function tooLarge({ path, fileSize, narSize }: NarInfo, url: string): CarportError {
  return new CarportError('E_INTEGRITY', `the NAR of \`${path}\` in \`${url}\` is not copied`, {
    cause: new Error(`its file is said to have ${fileSize} bytes, and the NAR ${narSize}`),
    hint: 'the cache is damaged or was tampered with: copy from another one',
  });
}

/** Listings are for looking only: nobody has signed them, and one that is none, or that is not taken, stops nothing. */
async function copyListing(info: NarInfo, { from, to }: NarCopying): Promise<void> {
  const hashPart = hashPartOf(info.path);
  try {
    const text = await readListing(from, hashPart);
    if (text === undefined) return;
    parseListing(text);
    await writeListing(to, hashPart, text);
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT', 'E_REMOTE', 'E_UNSUPPORTED', 'E_NOT_FOUND')) throw error;
  }
}
