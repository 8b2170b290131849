/** A NAR of an untrusted file, up to the byte that was promised. */

import { createHash } from 'node:crypto';
import { CarportError } from '../errors.js';
import { formatHash, type Hash, hashesEqual } from '../nix/hash.js';
import { type Decompressor, decompress } from './decompress.js';
import { HEAD_SIZE, otherFormat } from './format-of.js';
import { type FileFound, NarRefusal } from './nar-refusal.js';

/** What was promised of a compressed NAR. Only NarHash and NarSize are signed. */
export interface ExpectedNar {
  readonly compression: string;
  readonly narHash: Hash;
  readonly narSize: number;
  readonly fileHash?: Hash;
  readonly fileSize?: number;
}

/**
 * The NAR that an untrusted file holds. Stops at the first byte more than was promised, and throws at the end unless all of
 * it is as promised: what was taken until then must not be used. What is not as promised is a `NarRefusal`, which says
 * whether the file is the one that was promised: to know that, the rest of it is read. What the source throws stays as it is.
 * `zstd` as in `decompress`.
 */
export async function* readVerifiedNar(
  promise: ExpectedNar,
  source: AsyncIterable<Uint8Array>,
  zstd?: Decompressor,
): AsyncGenerator<Uint8Array> {
  const file = checkFile(promise, source);
  const hasher = createHash(promise.narHash.algorithm);
  let size = 0;
  try {
    for await (const bytes of decompress(promise.compression, file.bytes(), zstd)) {
      size += bytes.length;
      if (size > promise.narSize)
        throw mismatch(`the NAR is larger than the ${promise.narSize} bytes that were signed`);
      hasher.update(bytes);
      yield bytes;
    }
    if (size !== promise.narSize) throw mismatch(`the NAR has ${size} bytes, not ${promise.narSize}`);
    const narHash = { algorithm: promise.narHash.algorithm, digest: hasher.digest() };
    if (!hashesEqual(narHash, promise.narHash)) {
      throw mismatch(`the NAR's hash is ${formatHash(narHash, 'sri')}, not ${formatHash(promise.narHash, 'sri')}`);
    }
    await file.finish();
  } catch (error) {
    throw await file.explain(error);
  } finally {
    file.close();
  }
}

/** Passes a file's bytes through and compares them with what the narinfo says of it. */
function checkFile(promise: ExpectedNar, source: AsyncIterable<Uint8Array>) {
  const { compression, fileHash, fileSize, narSize } = promise;
  const limit = fileSize ?? largestFile(narSize);
  const hasher = fileHash && createHash(fileHash.algorithm);
  const pieces = source[Symbol.asyncIterator]();
  let size = 0;
  let head: Uint8Array = new Uint8Array();
  let sourceFailed = false;
  let compared: Promise<Comparison> | undefined;

  const take = async (): Promise<Uint8Array | undefined> => {
    const { value, done } = await pieces.next().catch((error) => {
      sourceFailed = true;
      throw error;
    });
    if (done) return undefined;
    if (size < HEAD_SIZE) head = Buffer.concat([head, value.subarray(0, HEAD_SIZE - size)]);
    size += value.length;
    hasher?.update(value);
    return value;
  };
  const readAndCompare = async (): Promise<Comparison> => {
    while (size <= limit && (await take()) !== undefined);
    return compareFile(promise, limit, { size, ...(hasher && { digest: hasher.digest() }) });
  };
  const compare = () => (compared ??= readAndCompare());

  return {
    async *bytes(): AsyncGenerator<Uint8Array> {
      for (let bytes = await take(); bytes !== undefined; bytes = await take()) {
        if (size > limit) throw mismatch(tooLarge(limit));
        yield bytes;
      }
    },
    /** Takes what the decompressor left, and compares. */
    async finish(): Promise<void> {
      const { file = 'nothing told', why } = await compare();
      if (why === undefined) return;
      const cause = new Error('the NAR in it is what was signed, all the same');
      throw new NarRefusal('E_INTEGRITY', why, file === 'another' ? 'another with the NAR' : file, { cause });
    },
    /** What a failure says of the file. The rest of it is read, unless that is more than the NAR can take. */
    async explain(error: unknown): Promise<unknown> {
      if (sourceFailed || !(error instanceof CarportError) || error instanceof NarRefusal) return error;
      // What carport lacks says nothing of the file.
      if (error.code === 'E_PROGRAM') return error;
      // The compression itself is not known, whatever the file is.
      if (size === 0 && error.code === 'E_UNSUPPORTED') {
        return new NarRefusal(error.code, error.message, 'nothing told', { hint: error.hint, cause: error.cause });
      }
      const comparison = limit <= largestFile(narSize) ? await compare() : {};
      return refusalOf(error, compression, head, comparison);
    },
    /** Lets the source go. Not awaited: a source that does not answer would hold up the error. */
    close(): void {
      pieces.return?.().catch(() => undefined);
    },
  };
}

interface Comparison {
  readonly file?: FileFound;
  /** What is not as promised. */
  readonly why?: string;
}

/** Compares what was read of a file with what its narinfo says of it. */
function compareFile(
  { fileHash, fileSize }: ExpectedNar,
  limit: number,
  { size, digest }: { readonly size: number; readonly digest?: Uint8Array },
): Comparison {
  const isTold = fileHash !== undefined || fileSize !== undefined;
  if (size > limit) return { why: tooLarge(limit), ...(isTold && { file: 'another' }) };
  const hash = fileHash && digest && { algorithm: fileHash.algorithm, digest };
  if (hash && !hashesEqual(hash, fileHash)) {
    return {
      file: 'another',
      why: `the file's hash is ${formatHash(hash, 'sri')}, not ${formatHash(fileHash, 'sri')}`,
    };
  }
  const file = hash && { file: 'as told' as const };
  if (fileSize === undefined || size === fileSize) return { ...file };
  return { file: 'another', ...file, why: `the file has ${size} bytes, not ${fileSize}` };
}

/** What is said of a NAR that could not be read, by what its file is; `head` is how that begins. */
function refusalOf(error: CarportError, compression: string, head: Uint8Array, { file, why }: Comparison): NarRefusal {
  const format = otherFormat(compression, head);
  const reason = format
    ? new CarportError(error.code, `the file is ${format}, and its narinfo says ${compression}`, { cause: error })
    : error;
  if (file === 'another' && why !== reason.message) {
    return new NarRefusal('E_INTEGRITY', why!, file, { cause: reason });
  }
  // Of a file that may be damaged nothing tells that a better reader would read it.
  const code = file === 'as told' ? reason.code : 'E_INTEGRITY';
  // One that is not compressed is the NAR itself, of which the hash is signed.
  const found = file ?? (compression === 'none' ? 'another' : 'nothing told');
  return new NarRefusal(code, reason.message, found, { hint: error.hint, cause: reason.cause });
}

function tooLarge(limit: number): string {
  return `the file is larger than its ${limit} bytes`;
}

/** Where nothing is promised of the file: no compressor makes that much more of a NAR, and a source may never end. */
export function largestFile(narSize: number): number {
  return Math.ceil(narSize * 1.25) + 1024 * 1024;
}

function mismatch(message: string): CarportError {
  return new CarportError('E_INTEGRITY', message);
}
