import { createHash } from 'node:crypto';
import { decompress } from '../../compression/decompress.js';
import { CarportError } from '../../errors.js';
import { createUnpacker } from '../../filesystem/unpack.js';
import { formatHash, hashesEqual } from '../../nix/hash.js';
import { createNarDecoder } from '../../nix/nar/decode.js';
import type { JobContext, NarDigest, UnpackJob } from '../jobs.js';
import { createNarHasher } from './nar-hasher.js';

/**
 * Writes the tree while the NAR arrives, and stops at the first byte more than was signed. The caller renames the tree
 * only after this has returned, so that damaged content is never seen under its name.
 */
export async function unpackPath(job: UnpackJob, { source, progress }: JobContext): Promise<NarDigest> {
  const file = checkFile(job, source);
  const hasher = createNarHasher();
  const decoder = createNarDecoder();
  const apply = createUnpacker(job.destination, 'store');
  let narSize = 0;
  for await (const bytes of decompress(job.compression, file.bytes())) {
    narSize += bytes.length;
    if (narSize > job.narSize) throw mismatch(`the NAR is larger than the ${job.narSize} bytes that were signed`);
    hasher.push(bytes);
    for (const event of decoder.push(bytes)) apply(event);
    progress(bytes.length);
  }
  decoder.end();
  const digest = hasher.finish();
  if (digest.narSize !== job.narSize) throw mismatch(`the NAR has ${narSize} bytes, not ${job.narSize}`);
  if (!hashesEqual(digest.narHash, job.narHash)) {
    const [wanted, got] = [job.narHash, digest.narHash].map((hash) => formatHash(hash, 'sri'));
    throw mismatch(`the NAR's hash is ${got}, not ${wanted}`);
  }
  await file.finish();
  return digest;
}

/** Passes a file's bytes through and compares them with what the narinfo says of it. */
function checkFile({ fileHash, fileSize }: UnpackJob, source: AsyncIterable<Uint8Array>) {
  const hasher = createHash(fileHash?.algorithm ?? 'sha256');
  let size = 0;
  const pieces = source[Symbol.asyncIterator]();
  const take = async (): Promise<Uint8Array | undefined> => {
    const { value, done } = await pieces.next();
    if (done) return undefined;
    size += value.length;
    if (fileSize !== undefined && size > fileSize) throw mismatch(`the file is larger than its ${fileSize} bytes`);
    hasher.update(value);
    return value;
  };
  return {
    async *bytes(): AsyncGenerator<Uint8Array> {
      for (let bytes = await take(); bytes !== undefined; bytes = await take()) yield bytes;
    },
    /** Takes what the decompressor left, and compares. */
    async finish(): Promise<void> {
      while ((await take()) !== undefined);
      if (fileSize !== undefined && size !== fileSize) throw mismatch(`the file has ${size} bytes, not ${fileSize}`);
      if (fileHash && Buffer.compare(hasher.digest(), fileHash.digest) !== 0) {
        throw mismatch('the file does not have its hash');
      }
    },
  };
}

function mismatch(message: string): CarportError {
  return new CarportError('E_INTEGRITY', message);
}
