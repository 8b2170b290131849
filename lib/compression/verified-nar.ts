import { createHash } from 'node:crypto';
import { CarportError } from '../errors.js';
import { formatHash, type Hash, hashesEqual } from '../nix/hash.js';
import { decompress } from './decompress.js';

/** What was promised of a compressed NAR. Only NarHash and NarSize are signed. */
export interface NarPromise {
  readonly compression: string;
  readonly narHash: Hash;
  readonly narSize: number;
  readonly fileHash?: Hash;
  readonly fileSize?: number;
}

/**
 * The NAR that an untrusted file holds. Stops at the first byte more than was promised, and throws `E_INTEGRITY` at the
 * end unless all of it is as promised: what was taken until then must not be used.
 */
export async function* readVerifiedNar(
  promise: NarPromise,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const file = checkFile(promise, source);
  const hasher = createHash(promise.narHash.algorithm);
  let size = 0;
  try {
    for await (const bytes of decompress(promise.compression, file.bytes())) {
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
  } finally {
    file.close();
  }
}

/** Passes a file's bytes through and compares them with what the narinfo says of it. */
function checkFile({ fileHash, fileSize, narSize }: NarPromise, source: AsyncIterable<Uint8Array>) {
  const limit = fileSize ?? largestFile(narSize);
  const hasher = createHash(fileHash?.algorithm ?? 'sha256');
  let size = 0;
  const pieces = source[Symbol.asyncIterator]();
  const take = async (): Promise<Uint8Array | undefined> => {
    const { value, done } = await pieces.next();
    if (done) return undefined;
    size += value.length;
    if (size > limit) throw mismatch(`the file is larger than its ${limit} bytes`);
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
    /** Lets the source go. Not awaited: a source that does not answer would hold up the error. */
    close(): void {
      pieces.return?.().catch(() => undefined);
    },
  };
}

/** Where nothing is promised of the file: no compressor makes that much more of a NAR, and a source may never end. */
function largestFile(narSize: number): number {
  return Math.ceil(narSize * 1.25) + 1024 * 1024;
}

function mismatch(message: string): CarportError {
  return new CarportError('E_INTEGRITY', message);
}
