import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type NarPromise, readVerifiedNar } from '#lib/compression/verified-nar.js';
import { hashBytes } from '#lib/nix/hash.js';
import { gather, noise, stream } from '../../support/files.js';
import { frameOf, skippableFrame } from '../../support/zstd.js';

const NAR = noise(200_000);

/** What a narinfo says of a file that holds `NAR`, with some of it changed. */
function promiseOf(file: Uint8Array, changes: Partial<NarPromise> = {}): NarPromise {
  return {
    compression: 'zstd',
    narHash: hashBytes('sha256', NAR),
    narSize: NAR.length,
    fileHash: hashBytes('sha256', file),
    fileSize: file.length,
    ...changes,
  };
}

const signedOnly = ({ compression, narHash, narSize }: NarPromise): NarPromise => ({ compression, narHash, narSize });

/** Reads it; tells what came before the error, if any. */
async function read(promise: NarPromise, file: Uint8Array, pieceSize?: number) {
  const pieces: Buffer[] = [];
  const bytes = () => Buffer.concat(pieces);
  try {
    for await (const piece of readVerifiedNar(promise, stream(file, pieceSize))) pieces.push(Buffer.from(piece));
    return { bytes: bytes(), error: undefined };
  } catch (error) {
    return { bytes: bytes(), error: error as Error & { code: string } };
  }
}

async function expectRefusal(reason: string, promise: NarPromise, file: Uint8Array): Promise<Buffer> {
  const { bytes, error } = await read(promise, file);
  expect(error?.message).toContain(reason);
  expect(error?.code).toBe('E_INTEGRITY');
  return bytes;
}

const FILE = frameOf(NAR);

describe('reading a NAR that is verified', () => {
  it.each([1000, 1_000_000])('gives the NAR of a file that is as promised, in pieces of %i', async (pieceSize) => {
    for (const promise of [promiseOf(FILE), signedOnly(promiseOf(FILE))]) {
      const { bytes, error } = await read(promise, FILE, pieceSize);
      expect(error).toBeUndefined();
      expect(bytes.equals(NAR)).toBe(true);
    }
  });

  it('takes frames that hold nothing into account', async () => {
    const file = Buffer.concat([FILE, skippableFrame(Buffer.alloc(100))]);
    expect((await read(promiseOf(file), file)).error).toBeUndefined();
  });

  it('refuses a NAR that is longer, and gives none of what is over', async () => {
    const file = frameOf(Buffer.concat([NAR, Buffer.from('x')]));
    const bytes = await expectRefusal('larger than the 200000 bytes that were signed', promiseOf(file), file);
    expect(NAR.subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  it('refuses a NAR that is shorter', async () => {
    const file = frameOf(NAR.subarray(1));
    await expectRefusal('the NAR has 199999 bytes, not 200000', promiseOf(file), file);
  });

  it('refuses a NAR of the same size and another hash', async () => {
    const file = frameOf(noise(NAR.length, 'other'));
    const { error } = await read(signedOnly(promiseOf(file)), file);
    expect(error?.message).toMatch(/^the NAR's hash is sha256-.*=, not sha256-.*=$/);
    expect(error?.code).toBe('E_INTEGRITY');
  });

  it('refuses a file with another hash than was promised', async () => {
    await expectRefusal(
      'the file does not have its hash',
      promiseOf(FILE, { fileHash: hashBytes('sha256', '') }),
      FILE,
    );
    const other = promiseOf(FILE, { fileHash: hashBytes('sha512', FILE) });
    expect((await read(other, FILE)).error).toBeUndefined();
  });

  it('refuses a file that is smaller than was promised', async () => {
    const promise = promiseOf(FILE, { fileSize: FILE.length + 1 });
    await expectRefusal(`the file has ${FILE.length} bytes, not ${FILE.length + 1}`, promise, FILE);
  });

  it('refuses a file that is larger than was promised, before it is read', async () => {
    const bytes = await expectRefusal('the file is larger than its 10 bytes', promiseOf(FILE, { fileSize: 10 }), FILE);
    expect(bytes.length).toBe(0);
  });

  it('refuses bytes after the last frame', async () => {
    const file = Buffer.concat([FILE, Buffer.from('trailing bytes')]);
    await expectRefusal('it is not zstd', signedOnly(promiseOf(file)), file);
    await expectRefusal(`larger than its ${FILE.length} bytes`, promiseOf(FILE), file);
  });

  it('refuses bytes after the data that the decompressor leaves unread', async () => {
    const whole = gzipSync(NAR);
    const file = Buffer.concat([whole, Buffer.alloc(100)]);
    const gzip = { compression: 'gzip' };
    expect((await read(promiseOf(whole, gzip), whole)).error).toBeUndefined();
    await expectRefusal(`larger than its ${whole.length} bytes`, promiseOf(whole, gzip), file);
    const { fileSize: _, ...withoutSize } = promiseOf(whole, gzip);
    await expectRefusal('the file does not have its hash', withoutSize, file);
  });

  it('checks a file that is not compressed as well', async () => {
    const none = { compression: 'none' };
    expect((await read(promiseOf(NAR, none), NAR)).bytes.equals(NAR)).toBe(true);
    await expectRefusal('the NAR has 199999 bytes', signedOnly(promiseOf(NAR, none)), NAR.subarray(1));
    await expectRefusal('that were signed', signedOnly(promiseOf(NAR, none)), Buffer.concat([NAR, NAR]));
  });

  it('refuses a compression that it cannot read', async () => {
    const { error } = await read(promiseOf(FILE, { compression: 'bzip2' }), FILE);
    expect(error?.code).toBe('E_UNSUPPORTED');
  });

  it.each([
    ['is left early', promiseOf(FILE)],
    ['is refused', promiseOf(FILE, { narSize: 10 })],
    ['is damaged', promiseOf(FILE, { compression: 'xz' })],
  ])('lets the source go when the NAR %s', { timeout: 10_000 }, async (_, promise) => {
    const released = await new Promise((resolve) => {
      async function* source() {
        try {
          yield* stream(FILE, 1000);
        } finally {
          resolve(true);
        }
      }
      const leave = async () => {
        for await (const _ of readVerifiedNar(promise, source())) break;
      };
      leave().catch(() => undefined);
    });
    expect(released).toBe(true);
  });

  it('throws the very error that the source throws', async () => {
    const failure = new Error('the connection broke');
    async function* broken() {
      yield FILE.subarray(0, 100);
      throw failure;
    }
    await expect(gather(readVerifiedNar(promiseOf(FILE), broken()))).rejects.toBe(failure);
  });
});
