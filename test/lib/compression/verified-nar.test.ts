import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { type FileFound, NarRefusal } from '#lib/compression/nar-refusal.js';
import { type ExpectedNar, readVerifiedNar } from '#lib/compression/verified-nar.js';
import { CarportError } from '#lib/errors.js';
import { hashBytes } from '#lib/nix/hash.js';
import { gather, noise, stream } from '../../support/files.js';
import { FILE_TOKENS, narOf } from '../../support/nar.js';
import { frameOf, frameWithWindow, skippableFrame } from '../../support/zstd.js';

const NAR = noise(200_000);

/** What a narinfo says of a file that holds `NAR`, with some of it changed. */
function expectedNar(file: Uint8Array, changes: Partial<ExpectedNar> = {}): ExpectedNar {
  return {
    compression: 'zstd',
    narHash: hashBytes('sha256', NAR),
    narSize: NAR.length,
    fileHash: hashBytes('sha256', file),
    fileSize: file.length,
    ...changes,
  };
}

const signedOnly = ({ compression, narHash, narSize }: ExpectedNar): ExpectedNar => ({ compression, narHash, narSize });

/** Reads it; tells what came before the error, if any. */
async function read(promise: ExpectedNar, file: Uint8Array, pieceSize?: number) {
  const pieces: Buffer[] = [];
  const bytes = () => Buffer.concat(pieces);
  try {
    for await (const piece of readVerifiedNar(promise, stream(file, pieceSize))) pieces.push(Buffer.from(piece));
    return { bytes: bytes(), error: undefined };
  } catch (error) {
    return { bytes: bytes(), error: error as NarRefusal };
  }
}

async function expectRefusal(
  reason: string,
  promise: ExpectedNar,
  file: Uint8Array,
  found?: FileFound,
): Promise<Buffer> {
  const { bytes, error } = await read(promise, file);
  expect(error).toBeInstanceOf(NarRefusal);
  if (found) expect(error?.found).toBe(found);
  expect(error?.message).toContain(reason);
  expect(error?.code).toBe('E_INTEGRITY');
  return bytes;
}

const FILE = frameOf(NAR);

describe('reading a NAR that is verified', () => {
  it.each([1000, 1_000_000])('gives the NAR of a file that is as promised, in pieces of %i', async (pieceSize) => {
    for (const promise of [expectedNar(FILE), signedOnly(expectedNar(FILE))]) {
      const { bytes, error } = await read(promise, FILE, pieceSize);
      expect(error).toBeUndefined();
      expect(bytes.equals(NAR)).toBe(true);
    }
  });

  it('takes frames that hold nothing into account', async () => {
    const file = Buffer.concat([FILE, skippableFrame(Buffer.alloc(100))]);
    expect((await read(expectedNar(file), file)).error).toBeUndefined();
  });

  it('refuses a NAR that is longer, and gives none of what is over', async () => {
    const file = frameOf(Buffer.concat([NAR, Buffer.from('x')]));
    const bytes = await expectRefusal('larger than the 200000 bytes that were signed', expectedNar(file), file);
    expect(NAR.subarray(0, bytes.length).equals(bytes)).toBe(true);
  });

  it('refuses a NAR that is shorter', async () => {
    const file = frameOf(NAR.subarray(1));
    await expectRefusal('the NAR has 199999 bytes, not 200000', expectedNar(file), file);
  });

  it('refuses a NAR of the same size and another hash', async () => {
    const file = frameOf(noise(NAR.length, 'other'));
    const { error } = await read(signedOnly(expectedNar(file)), file);
    expect(error?.message).toMatch(/^the NAR's hash is sha256-.*=, not sha256-.*=$/);
    expect(error?.code).toBe('E_INTEGRITY');
  });

  it('refuses a file with another hash than was promised', async () => {
    await expectRefusal("the file's hash is sha256-", expectedNar(FILE, { fileHash: hashBytes('sha256', '') }), FILE);
    const other = expectedNar(FILE, { fileHash: hashBytes('sha512', FILE) });
    expect((await read(other, FILE)).error).toBeUndefined();
  });

  it('refuses a file that is smaller than was promised', async () => {
    const promise = expectedNar(FILE, { fileSize: FILE.length + 1 });
    await expectRefusal(`the file has ${FILE.length} bytes, not ${FILE.length + 1}`, promise, FILE);
  });

  it('refuses a file that is larger than was promised, before it is read', async () => {
    const bytes = await expectRefusal(
      'the file is larger than its 10 bytes',
      expectedNar(FILE, { fileSize: 10 }),
      FILE,
    );
    expect(bytes.length).toBe(0);
  });

  it('refuses bytes after the last frame', async () => {
    const file = Buffer.concat([FILE, Buffer.from('trailing bytes')]);
    await expectRefusal('not valid zstd', signedOnly(expectedNar(file)), file);
    await expectRefusal(`larger than its ${FILE.length} bytes`, expectedNar(FILE), file);
  });

  it('refuses bytes after the data that the decompressor leaves unread', async () => {
    const whole = gzipSync(NAR);
    const file = Buffer.concat([whole, Buffer.alloc(100)]);
    const gzip = { compression: 'gzip' };
    expect((await read(expectedNar(whole, gzip), whole)).error).toBeUndefined();
    await expectRefusal(`larger than its ${whole.length} bytes`, expectedNar(whole, gzip), file);
    const { fileSize: _, ...withoutSize } = expectedNar(whole, gzip);
    await expectRefusal("the file's hash is sha256-", withoutSize, file);
  });

  describe('tells of a file that it refuses', () => {
    const flipped = Buffer.from(FILE);
    flipped[FILE.length >> 1]! ^= 1;
    const otherNar = expectedNar(FILE, { narHash: hashBytes('sha256', 'other') });
    const without = (name: 'fileHash' | 'fileSize', { [name]: _, ...promise }: ExpectedNar): ExpectedNar => promise;

    it.each<[string, FileFound, ExpectedNar, Uint8Array]>([
      ['that it is another: a bit', 'another', expectedNar(FILE), flipped],
      ['that it is another: its end', 'another', expectedNar(FILE), FILE.subarray(0, -1)],
      [
        'that it is another: its end, by the size only',
        'another',
        without('fileHash', expectedNar(FILE)),
        FILE.subarray(0, -1),
      ],
      ['that it is another: more', 'another', expectedNar(FILE), Buffer.concat([FILE, FILE])],
      ['that it is another: nothing in it', 'another', expectedNar(FILE), Buffer.alloc(0)],
      ['that it is as told, and no zstd', 'as told', expectedNar(flipped), flipped],
      ['that it is as told, and another NAR', 'as told', otherNar, FILE],
      ['that it is as told, and a larger NAR', 'as told', expectedNar(FILE, { narSize: 10 }), FILE],
      ['that it is as told, and a smaller NAR', 'as told', expectedNar(FILE, { narSize: NAR.length + 1 }), FILE],
      ['that it is as told, by the hash only', 'as told', without('fileSize', otherNar), FILE],
      ['that it is as told, but for its size', 'as told', expectedNar(FILE, { fileSize: FILE.length + 1 }), FILE],
      [
        'that it holds the NAR all the same',
        'another with the NAR',
        expectedNar(FILE, { fileHash: hashBytes('sha256', '') }),
        FILE,
      ],
      ['nothing, where nothing is told', 'nothing told', signedOnly(expectedNar(FILE)), flipped],
      ['nothing, where the size is told only', 'nothing told', without('fileHash', otherNar), FILE],
      [
        'that it is another when it is the NAR itself',
        'another',
        signedOnly(expectedNar(NAR, { compression: 'none' })),
        flipped,
      ],
    ])('%s', async (_, found, promise, file) => {
      for (const pieceSize of [100, 1_000_000]) {
        expect((await read(promise, file, pieceSize)).error).toMatchObject({ code: 'E_INTEGRITY', found });
      }
    });

    it.each([
      ['gzip', gzipSync(NAR), 'zstd', 'the file is gzip, and its narinfo says zstd'],
      ['zstd', FILE, 'xz', 'the file is zstd, and its narinfo says xz'],
      ['zstd', FILE, 'none', 'the file is zstd, and its narinfo says none'],
      ['a NAR', narOf(...FILE_TOKENS), 'br', 'the file is a NAR that is not compressed, and its narinfo says br'],
      ['bzip2', Buffer.from('BZh91AY&SY'), 'gzip', 'the file is bzip2, and its narinfo says gzip'],
      ['a page', Buffer.from('\n<!DOCTYPE html><html>'), 'zstd', 'the file is a web page, and its narinfo says zstd'],
    ])('that it is %s, whatever the narinfo says', async (_, file, compression, message) => {
      for (const pieceSize of [1, 1_000_000]) {
        expect((await read(expectedNar(file, { compression }), file, pieceSize)).error?.message).toBe(message);
      }
      expect((await read(signedOnly(expectedNar(file, { compression })), file)).error?.message).toBe(message);
    });

    it('that it is not supported only where it is known to be whole', async () => {
      const file = frameWithWindow((31 - 10) << 3);
      expect((await read(expectedNar(file), file)).error).toMatchObject({ code: 'E_UNSUPPORTED', found: 'as told' });
      expect((await read(expectedNar(FILE), file)).error).toMatchObject({ code: 'E_INTEGRITY', found: 'another' });
      const unsure = (await read(signedOnly(expectedNar(file)), file)).error;
      expect(unsure).toMatchObject({ code: 'E_INTEGRITY', found: 'nothing told' });
      expect(unsure?.message).toContain('window of more than 128 MiB');
    });

    it('reads no more of it than a NAR of that size can take', async () => {
      let taken = 0;
      async function* source() {
        for (let piece = 0; piece < 1000; piece++) {
          taken += 64 * 1024;
          yield noise(64 * 1024);
        }
      }
      const promise = expectedNar(FILE, { fileSize: 1000 * 64 * 1024 });
      await expect(gather(readVerifiedNar(promise, source()))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      expect(taken).toBeLessThan(2_000_000);
    });
  });

  it('checks a file that is not compressed as well', async () => {
    const none = { compression: 'none' };
    expect((await read(expectedNar(NAR, none), NAR)).bytes.equals(NAR)).toBe(true);
    await expectRefusal('the NAR has 199999 bytes', signedOnly(expectedNar(NAR, none)), NAR.subarray(1));
    await expectRefusal('that were signed', signedOnly(expectedNar(NAR, none)), Buffer.concat([NAR, NAR]));
  });

  it('refuses a compression that it cannot read', async () => {
    const { error } = await read(expectedNar(FILE, { compression: 'lrzip' }), FILE);
    expect(error?.code).toBe('E_UNSUPPORTED');
  });

  it.each([
    ['is left early', expectedNar(FILE)],
    ['is refused', expectedNar(FILE, { narSize: 10 })],
    ['is damaged', expectedNar(FILE, { compression: 'xz' })],
  ])('lets the source go when the NAR %s', { timeout: 60_000 }, async (_, promise) => {
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

  it.each([
    new Error('the connection broke'),
    new CarportError('E_INTEGRITY', 'it changed while it was read', { hint: 'run it again' }),
    new CarportError('E_UNSUPPORTED', 'the server cannot do that'),
    new CarportError('E_FORMAT', 'it is no file'),
  ])('throws the very error that the source throws: %s', async (failure) => {
    async function* broken(file: Uint8Array, size: number) {
      if (size > 0) yield file.subarray(0, size);
      throw failure;
    }
    for (const compression of ['none', 'zstd', 'xz', 'gzip', 'br']) {
      const promise = expectedNar(FILE, { compression });
      for (const size of [0, 100]) {
        await expect(gather(readVerifiedNar(promise, broken(FILE, size)))).rejects.toBe(failure);
        // Also where the content is wrong: it may be so for what failed.
        const other = expectedNar(FILE, { compression, narSize: 10 });
        await expect(gather(readVerifiedNar(other, broken(FILE, size)))).rejects.toBe(failure);
      }
    }
  });
});
