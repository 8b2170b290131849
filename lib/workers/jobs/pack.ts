/** The job that makes a path into a cache's object in one pass: read, hash, list, chunk, compress. */

import { closeSync, mkdirSync, openSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createHashPartFinder } from '../../compression/chunks/hash-parts.js';
import { type Compressor, createIdentityCompressor } from '../../compression/compressor.js';
import { loadZstd } from '../../compression/zstd-binding.js';
import { isErrno } from '../../errors.js';
import { writeWhole } from '../../filesystem/unpack.js';
import { walkTree } from '../../filesystem/walk.js';
import { formatHash, hashesEqual } from '../../nix/hash.js';
import { encodeNar } from '../../nix/nar/encode.js';
import { createListingBuilder, type ListingBuilder, renderListing } from '../../nix/nar/listing.js';
import type { JobContext, PackJob, PackResult, SpooledFile } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';
import { createSpool } from './spool.js';

/** Reads, hashes, lists and compresses in one pass over the path. */
export async function packPath(job: PackJob, { progress }: JobContext): Promise<PackResult> {
  const hasher = createNarHasher();
  const listing = createListingBuilder();
  function* nar(): Generator<Uint8Array> {
    for (const bytes of encodeNar(listing.tap(walkTree(job.path)))) {
      hasher.push(bytes);
      yield bytes;
      progress(bytes.length);
    }
  }
  const file = job.compression === 'xz' ? await packXz(job, nar()) : packWith(await compressorOf(job), job, nar());
  const packed = { ...hasher.finish(), ...file, ...(job.listing && rendered(listing)) };
  return job.place && putInPlace(job.place, packed, job.spoolPath) ? { ...packed, isPlaced: true } : packed;
}

/** Gives an object its name, unless it holds another NAR than it should. */
function putInPlace({ directory, ending, nar }: NonNullable<PackJob['place']>, packed: PackResult, file: string) {
  if (packed.narSize !== nar.narSize || !hashesEqual(packed.narHash, nar.narHash)) return false;
  const path = join(directory, `${formatHash(packed.fileHash, 'nix32')}.nar${ending}`);
  try {
    renameSync(file, path);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    mkdirSync(directory, { recursive: true });
    renameSync(file, path);
  }
  return true;
}

async function compressorOf({ compression, level, line, hashParts }: PackJob): Promise<Compressor> {
  if (compression !== 'zstd') return createIdentityCompressor();
  // Says what to do where it cannot be loaded, which the next line would not.
  await loadZstd();
  const finder = createHashPartFinder(hashParts);
  if (line) return (await import('../line-compressor.js')).createLineCompressor(line, level, finder);
  const { createZstdCompressor } = await import('../../compression/zstd-write.js');
  return createZstdCompressor(level, finder);
}

function packWith(
  compressor: Compressor,
  { spoolPath, place }: PackJob,
  nar: Iterable<Uint8Array>,
): SpooledFile & Pick<PackResult, 'chunks'> {
  // What is renamed has to be a file.
  const spool = place ? createSpool(spoolPath, 0) : createSpool(spoolPath);
  try {
    for (const bytes of nar) for (const piece of compressor.push(bytes)) spool.write(piece);
    for (const piece of compressor.end()) spool.write(piece);
    const chunks = compressor.chunks?.();
    return { ...spool.finish(), ...(chunks && { chunks }) };
  } finally {
    spool.close();
  }
}

/** The xz program takes files: the NAR goes to disk once more, which is nothing beside the time that xz takes. */
async function packXz(job: PackJob, nar: Iterable<Uint8Array>): Promise<SpooledFile> {
  const { compressFileXz } = await import('../../compression/xz/write.js');
  const [narPath, xzPath] = [`${job.spoolPath}.nar`, `${job.spoolPath}.xz`];
  try {
    const file = openSync(narPath, 'wx');
    try {
      for (const bytes of nar) writeWhole(file, bytes);
    } finally {
      closeSync(file);
    }
    await compressFileXz(narPath, xzPath, job.level);
    return packWith(createIdentityCompressor(), job, contentsOf(xzPath));
  } finally {
    for (const path of [narPath, xzPath]) rmSync(path, { force: true });
  }
}

function* contentsOf(path: string): Generator<Uint8Array> {
  for (const event of walkTree(path)) if (event.type === 'contents') yield event.bytes;
}

function rendered(builder: ListingBuilder): { readonly listing: string } {
  return { listing: renderListing(builder.finishReadable()) };
}
