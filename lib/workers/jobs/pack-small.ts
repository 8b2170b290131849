/**
 * The job that packs small paths, many in one go. A cache in a directory gets each NAR, and its narinfo where that may be seen; for
 * others both are given back. What is not as it should be in any way is left to the job for one, which says why.
 */

import { hash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { createHashPartFinder, hashPartList } from '../../compression/chunks/hash-parts.js';
import { loadZstd } from '../../compression/zstd-binding.js';
import { isErrno } from '../../errors.js';
import { writeWhole } from '../../filesystem/unpack.js';
import { readTree } from '../../filesystem/whole-tree.js';
import { checkedContentAddress } from '../../nix/content-address.js';
import { formatHash } from '../../nix/hash.js';
import { renderNarInfo, type UnknownField } from '../../nix/narinfo.js';
import { mergeSignatures } from '../../nix/path-info.js';
import { signPath } from '../../signing/signature.js';
import { type PackSmallJob, SMALL_PATH, type SmallPath, type SmallPathResult } from '../jobs.js';

/** Compresses the NAR of a path, of which the sha256 is known, and tells of its chunks. */
type Compress = (
  nar: Buffer,
  sha256: Buffer,
  path: SmallPath,
) => { readonly file: Buffer; readonly chunks?: UnknownField };

/** Packs paths in their order, and gives what became of each. Fails for none of them. */
export async function packSmall(job: PackSmallJob): Promise<readonly SmallPathResult[]> {
  const compress = await compressorOf(job).catch(() => undefined);
  const unseen = new Set<string>();
  return (JSON.parse(job.paths) as readonly SmallPath[]).map((path): SmallPathResult => {
    const result = (compress && tryToPut(path, job, compress, unseen)) ?? { state: 'refused' };
    if (result.state !== 'visible') unseen.add(path.storePath);
    return result;
  });
}

function tryToPut(
  path: SmallPath,
  job: PackSmallJob,
  compress: Compress,
  unseen: ReadonlySet<string>,
): SmallPathResult | undefined {
  try {
    return putPath(path, job, compress, unseen);
  } catch {
    if (job.place) rmSync(job.place.temporary, { force: true });
    return undefined;
  }
}

async function compressorOf({ compression, level }: PackSmallJob): Promise<Compress> {
  if (compression === 'none') return (nar) => ({ file: nar });
  await loadZstd();
  const { compressWhole } = await import('../../compression/zstd-write.js');
  return (nar, sha256, { storePath, references }) =>
    compressWhole(level, nar, sha256, createHashPartFinder(hashPartList({ path: storePath, references })));
}

function putPath(
  path: SmallPath,
  job: PackSmallJob,
  compress: Compress,
  unseen: ReadonlySet<string>,
): SmallPathResult | undefined {
  if (readTree(path.realPath, input) !== path.narSize) return undefined;
  const nar = input.subarray(0, path.narSize);
  const sha256 = hash('sha256', nar, 'buffer');
  if (sha256.toString('hex') !== path.narHash) return undefined;
  const { file, chunks } = compress(nar, sha256, path);
  const digest = file === nar ? sha256 : hash('sha256', file, 'buffer');
  const name = `${formatHash({ algorithm: 'sha256', digest }, 'nix32')}.nar${job.ending}`;
  const key = job.narKey + name;
  if (job.place) putFile(`${job.place.directory}/${name}`, file, job.place.temporary);
  const text = narInfoText(path, job, sha256, { url: key, digest, size: file.length, chunks });
  const packed = { state: 'packed', fileSize: file.length, narInfo: text } as const;
  // The memory that it is in is used again.
  if (!job.place) return { ...packed, nar: { key, bytes: new Uint8Array(file) } };
  // What it refers to may not have become what was hoped for; and another push may have been faster, whose signatures are to stay.
  const waits = path.references.some((reference) => unseen.has(reference));
  if (path.narInfo === undefined || waits || isLate(job) || existsSync(path.narInfo)) return packed;
  putFile(path.narInfo, Buffer.from(text, 'latin1'), job.place.temporary);
  return { state: 'visible', fileSize: file.length, ...(path.field && { narInfo: text }) };
}

/** NARs are read into it: one is done with before the next. */
const input = Buffer.allocUnsafeSlow(SMALL_PATH);

interface PutNar {
  readonly url: string;
  readonly digest: Buffer;
  readonly size: number;
  readonly chunks: UnknownField | undefined;
}

function narInfoText(
  path: SmallPath,
  { compression, keys }: PackSmallJob,
  sha256: Buffer,
  { url, digest, size, chunks }: PutNar,
) {
  const { storePath, narSize, references, deriver, signatures, field } = path;
  const said = {
    path: storePath,
    narHash: { algorithm: 'sha256', digest: sha256 },
    narSize,
    references,
    signatures,
  } as const;
  // No signature covers it: what is wrong is not handed on.
  const ca = checkedContentAddress({ ...said, ca: path.ca });
  return renderNarInfo({
    ...said,
    ...(deriver !== undefined && { deriver }),
    ...(ca !== undefined && { ca }),
    signatures: mergeSignatures(
      signatures,
      keys.map((key) => signPath(said, key)),
    ),
    ...{ url, compression, fileHash: { algorithm: 'sha256', digest }, fileSize: size },
    unknownFields: [chunks, field].filter((each) => each !== undefined),
  });
}

/** Whether the caller may not vouch for changes any more: by both clocks, of which each may stand still. */
function isLate({ until }: PackSmallJob): boolean {
  return until !== undefined && (process.hrtime.bigint() >= until.monotonic || Date.now() >= until.wall);
}

function putFile(path: string, bytes: Uint8Array, temporary: string): void {
  const file = openSync(temporary, 'wx');
  try {
    writeWhole(file, bytes);
  } finally {
    closeSync(file);
  }
  try {
    renameSync(temporary, path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(dirname(path), { recursive: true });
    renameSync(temporary, path);
  }
}
