/** Mends one path: by what its NAR proves, by a push from a store, by a copy from another cache, by a signature. */

import { rm } from 'node:fs/promises';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { checkedContentAddress } from '../../lib/nix/content-address.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { mergeSignatures } from '../../lib/nix/path-info.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { signatureKeyName, verifyPath } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { ActivityEvent, Emit, Work } from '../../lib/work.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { copyNar } from '../copy/nar.js';
import { newNarKey } from '../layout.js';
import type { Leasing } from '../leases/lease.js';
import type { PushEvent } from '../push/events.js';
import { createListingWriter } from '../push/listings.js';
import { uploadNar } from '../push/upload.js';
import { saySame, withSignatures } from '../signatures.js';
import { readNar } from '../verify/checked-nar.js';
import type { FsckReport } from './finding.js';
import { narKeyIn } from './look/narinfo.js';
import type { MendSources, Source } from './sources.js';

/** What the mending of a cache works with. */
export interface MendTools extends Work<ActivityEvent> {
  readonly objects: ObjectStore;
  readonly pool: WorkerPool;
  readonly sources: MendSources;
  /** Whether NARs may be read to sign what nobody who is trusted has signed. */
  readonly contents: boolean;
  readonly report: FsckReport;
  readonly leasing?: Leasing;
}

/** What it takes to mend one path. */
export interface PathTools {
  readonly objects: ObjectStore;
  readonly pool: WorkerPool;
  readonly sources: MendSources;
  readonly emit: Emit<ActivityEvent>;
}

/** Compressions, and how names of their files end. */
export const FORMATS = {
  ...{ none: '', zstd: '.zst', xz: '.xz', bzip2: '.bz2', gzip: '.gz', br: '.br', lzip: '.lzip', lz4: '.lz4' },
} as const;

/** Keys of NARs that nothing wrong is found of are never read twice: this many are tried of one path. */
const MOST_TRIES = 12;

/**
 * Looks whether the NAR of a path is in the cache all the same: under the name that its hash gives it, compressed otherwise than is
 * told, or of another file hash. Gives the narinfo that is right then: NarHash and NarSize have proven it.
 */
export async function findOwnNar(
  info: NarInfo,
  { objects, pool }: Pick<PathTools, 'objects' | 'pool'>,
): Promise<NarInfo | undefined> {
  const told = narKeyIn(info);
  const byHash = Object.entries(FORMATS).flatMap(([compression, ending]) =>
    info.fileHash === undefined ? [] : [[newNarKey(info.fileHash, ending), compression] as const],
  );
  const byName =
    told === undefined ? [] : [info.compression, ...Object.keys(FORMATS)].map((one) => [told, one] as const);
  const tries: (readonly [key: string, compression: string])[] = [];
  const sizes = new Map<string, number | undefined>();
  for (const one of [...byName, ...byHash]) {
    const [key] = one;
    if (!sizes.has(key)) sizes.set(key, (await objects.stat(key))?.size);
    if (sizes.get(key) && !tries.some(([k, c]) => k === key && c === one[1])) tries.push(one);
  }
  for (const [url, compression] of tries.slice(0, MOST_TRIES)) {
    const { fileHash: _, fileSize: __, ...rest } = info;
    const file = await fileOf({ ...rest, url, compression }, objects, pool);
    if (file) return { ...info, url, compression, ...file };
  }
  return undefined;
}

/** The hash and size of a NAR's file, if it holds what the narinfo promises. */
export async function fileOf(info: NarInfo, objects: ObjectStore, pool: WorkerPool) {
  const spoolPath = await objects.spoolName();
  const { narHash, narSize, compression } = info;
  const job = { type: 'fetch', promise: { narHash, narSize, compression }, spoolPath } as const;
  const how = { onProgress: () => undefined, weight: narSize };
  try {
    const { fileHash, fileSize } = await readNar(objects, info, async (source) => {
      await rm(spoolPath, { force: true });
      return 'file' in source ? pool.run({ ...job, ...source }, how) : pool.run(job, { ...how, ...source });
    });
    return { fileHash, fileSize };
  } catch (error) {
    if (hasCode(error, 'E_INTEGRITY', 'E_FORMAT', 'E_UNSUPPORTED', 'E_NOT_FOUND', 'E_IO', 'E_PROGRAM'))
      return undefined;
    throw error;
  } finally {
    await rm(spoolPath, { force: true });
  }
}

/** Sends the NAR of a path again; gives the narinfo for it, which is not written yet. */
export async function sendAgain(source: Source, there: NarInfo | undefined, tools: PathTools): Promise<NarInfo> {
  const { objects, pool, sources, emit } = tools;
  const { keys, packing, trust } = sources;
  const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
  const known = there && saySame(there, source.info) ? rightSignatures(there, trust) : [];
  const info = { ...source.info, signatures: mergeSignatures(known, rightSignatures(source.info, trust)) };
  if (source.origin === 'cache') {
    const copying = { from: source.objects, to: objects, pool, keys, nars: undefined, onProgress };
    return copyNar({ ...source.info, ...info }, copying);
  }
  const warn = (event: PushEvent) => {
    if (event.type === 'warning') emit(event);
  };
  const writeListing = createListingWriter({ objects, emit: warn });
  const how = { ...packing, objects, pool, keys, store: source.store, emit: warn };
  // What lies there under the same name may have the same size, and is not believed.
  return uploadNar(info, new Map(), writeListing, how);
}

/** Whether what a source has would be believed in the cache, signed with our keys where there are any. */
export function canBeBelieved(source: Source, there: NarInfo | undefined, { keys, trust }: MendSources): boolean {
  if (keys.length > 0 || trust.keys.length === 0) return true;
  const known = there && saySame(there, source.info) ? there.signatures : [];
  const signatures = mergeSignatures(
    rightSignatures({ ...source.info, signatures: known }, trust),
    source.info.signatures,
  );
  const { state } = verifyPath({ ...source.info, signatures }, trust.keys);
  return state === 'valid' || trust.allowUnsigned;
}

/** Signatures without those that a trusted key of their name has not made. */
function rightSignatures(info: Parameters<typeof verifyPath>[0], { keys }: TrustPolicy): readonly string[] {
  const isWrong = (signature: string) => {
    const named = keys.filter(({ name }) => name === signatureKeyName(signature));
    return named.length > 0 && verifyPath({ ...info, signatures: [signature] }, named).state !== 'valid';
  };
  return info.signatures.filter((signature) => !isWrong(signature));
}

/** The narinfo with what a source and our keys can say for it; `undefined` where that makes it no more believed. */
export function signedAgain(
  there: NarInfo,
  source: Source | undefined,
  { keys, trust }: MendSources,
): NarInfo | undefined {
  if (source === undefined || !saySame(there, source.info)) return undefined;
  const signatures = mergeSignatures(rightSignatures(there, trust), rightSignatures(source.info, trust));
  const signed = withSignatures({ ...there, signatures }, keys);
  return isBelieved(signed, trust) ? signed : undefined;
}

/** Whether readers that trust these keys take it; where no key is given, nothing speaks against it. */
function isBelieved(info: NarInfo, trust: TrustPolicy): boolean {
  if (trust.keys.length === 0) return true;
  const { state } = verifyPath(info, trust.keys);
  return state === 'valid' || (state === 'unsigned' && trust.allowUnsigned);
}

/** The narinfo without a content address that is not that of its name. */
export function withoutFalseAddress(info: NarInfo): NarInfo {
  const { ca: _, ...rest } = info;
  const ca = checkedContentAddress(info);
  return { ...rest, ...(ca && { ca }) };
}

/** Whether what is in the way is something in the place of one object, and not the disk. */
export function isOfPlace(error: unknown): boolean {
  return isErrno(error, 'EISDIR', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM');
}

/** Why a path was not mended, in one line. */
export function reasonOf(error: unknown): string {
  if (isOfPlace(error)) return (error as Error).message;
  if (!(error instanceof CarportError)) throw error;
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return `${error.message}${cause}`;
}
