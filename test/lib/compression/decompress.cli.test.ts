import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decompress } from '#lib/compression/decompress.js';
import * as arbitrary from '../../support/arbitraries.js';
import { gather, inSameMemory, noise, stream } from '../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../support/programs.js';
import { frameOf, frameWithWindow, skippableFrame } from '../../support/zstd.js';

/** Text that compresses, and noise that does not. */
const CONTENT = Buffer.concat([Buffer.alloc(70_000, 'some text '), noise(30_000), Buffer.alloc(1000)]);

const COMPRESSORS: Record<string, (content: Uint8Array) => Buffer> = {
  none: (content) => Buffer.from(content),
  zstd: frameOf,
  gzip: (content) => gzipSync(content),
  br: (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  xz: (content) => runOnBytes('xz', ['-c', '-1'], content),
};
const NAMES = Object.keys(COMPRESSORS);
const compress = (name: string, content: Uint8Array): Buffer => COMPRESSORS[name]!(content);

const read = (name: string, file: Uint8Array, pieceSize?: number): Promise<Buffer> =>
  gather(decompress(name, stream(file, pieceSize)));

describe.each(NAMES)('decompressing %s', { timeout: 60_000 }, (name) => {
  it.each([0, 1, 100_000, 1_000_000])('gives back %i bytes', async (size) => {
    const content = noise(size);
    expect((await read(name, compress(name, content))).equals(content)).toBe(true);
  });

  it('gives the same however the file comes in pieces', async () => {
    const file = compress(name, CONTENT);
    await fc.assert(
      fc.asyncProperty(arbitrary.cuts(), async (cuts) => {
        const pieces = gather(decompress(name, pieceByPiece(arbitrary.cutsOf(file, cuts))));
        expect((await pieces).equals(CONTENT)).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('is done with each piece of the file before it asks for the next', async () => {
    const content = noise(1_500_000);
    expect((await gather(decompress(name, inSameMemory(compress(name, content))))).equals(content)).toBe(true);
  });

  it('throws the very error that the source throws', async () => {
    const failure = new Error('the connection broke');
    const file = compress(name, CONTENT);
    async function* broken() {
      yield file.subarray(0, 100);
      throw failure;
    }
    await expect(gather(decompress(name, broken()))).rejects.toBe(failure);
  });

  it('lets the source go when the consumer stops early', async () => {
    const { source, released } = watched(compress(name, noise(2_000_000)));
    for await (const _ of decompress(name, source)) break;
    await released;
  });

  it('takes no more of the source than it needs for what is asked for', async () => {
    const { source, taken } = watched(compress(name, noise(2_000_000)));
    for await (const _ of decompress(name, source)) break;
    expect(taken()).toBeLessThan(1_000_000);
  });
});

describe.each(NAMES.filter((name) => name !== 'none'))('decompressing %s refuses', { timeout: 120_000 }, (name) => {
  it('a file of no bytes', async () => {
    await expect(read(name, Buffer.alloc(0))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('a file that is cut at any byte', async () => {
    const file = compress(name, Buffer.concat([Buffer.alloc(200, 'some text '), noise(50)]));
    for (let at = 0; at < file.length; at++) {
      for (const pieceSize of [1, 1000]) {
        const error = await read(name, file.subarray(0, at), pieceSize).catch((reason) => reason);
        expect(error, `cut at ${at} of ${file.length}`).toMatchObject({ code: 'E_INTEGRITY' });
      }
    }
  });

  it.each([1, 7, 1_000_000])('bytes after the end, in pieces of %i', async (pieceSize) => {
    // Much in a small file: each piece of it is a turn of the library.
    const file = compress(name, Buffer.concat([CONTENT.subarray(0, 70_000), noise(3000)]));
    for (const more of [Buffer.of(1), Buffer.of(0x28), Buffer.from('trailing bytes'), noise(100_000)]) {
      const error = await read(name, Buffer.concat([file, more]), pieceSize).catch((reason) => reason);
      expect(error, `${more.length} more`).toMatchObject({ code: 'E_INTEGRITY' });
    }
  });

  it('a file that is cut anywhere', async () => {
    const file = compress(name, CONTENT);
    const places = new Set([1, 2, 3, 4, 5, 6, 12, file.length - 1, file.length - 2, file.length - 4]);
    for (let at = 7; at < file.length; at += 997) places.add(at);
    for (const at of places) {
      const error = await read(name, file.subarray(0, at)).catch((reason) => reason);
      expect(error, `cut at ${at} of ${file.length}`).toMatchObject({ code: 'E_INTEGRITY' });
      expect(error.message).toMatch(new RegExp(`${name} file is not whole|not valid ${name}`));
    }
  });

  it('what is something else', async () => {
    for (const garbage of [Buffer.from('this is text, and nothing else'), noise(1000), noise(1_000_000)]) {
      await expect(read(name, garbage)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    }
  });

  it('what is damaged in the middle of its header', async () => {
    const file = compress(name, CONTENT);
    file.fill(0xff, 2, 12);
    await expect(read(name, file)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });
});

describe('decompressing zstd', () => {
  it('reads any number of frames, skippable ones between them', async () => {
    const frames = [frameOf(Buffer.from('one ')), frameOf(Buffer.alloc(0)), frameOf(Buffer.from('two'))];
    const skipped = skippableFrame(noise(100_000), 0x184d2a5f);
    const file = Buffer.concat([skipped, frames[0]!, skipped, frames[1]!, frames[2]!, skippableFrame(Buffer.alloc(0))]);
    for (const pieceSize of [1000, 1_000_000]) expect((await read('zstd', file, pieceSize)).toString()).toBe('one two');
  });

  it('refuses a skippable frame that is cut', async () => {
    const file = Buffer.concat([frameOf(Buffer.from('x')), skippableFrame(Buffer.alloc(100))]);
    for (const missing of [1, 99, 100, 105]) {
      const cut = file.subarray(0, file.length - missing);
      await expect(read('zstd', cut), `${missing} missing`).rejects.toThrow('not whole');
    }
  });

  it('refuses bytes after the last frame that are no frame', async () => {
    const file = Buffer.concat([frameOf(Buffer.from('x')), Buffer.from('trailing bytes')]);
    await expect(read('zstd', file)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('refuses a frame that needs a dictionary, and says so', async () => {
    // Frame header with a dictionary ID of one byte, then a window and a raw block.
    const file = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 1, 0, 42, 0b1001, 0, 0, 0x78]);
    await expect(read('zstd', file)).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('needs a dictionary'),
    });
  });

  it('refuses a window of more than 128 MiB', async () => {
    const window = (log: number) => frameWithWindow((log - 10) << 3);
    expect((await read('zstd', window(27))).toString()).toBe('x');
    for (const log of [28, 31, 41]) {
      const error = await read('zstd', window(log)).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_UNSUPPORTED' });
      expect(error.message).toMatch(/window of more than 128 MiB/);
    }
    await expect(read('zstd', frameWithWindow(((27 - 10) << 3) + 1))).rejects.toThrow('window');
  });
});

describe('decompressing gzip', () => {
  const text = Buffer.from('some text');
  const empty = gzipSync(Buffer.alloc(0));

  it.each([1, 7, 1_000_000])(
    'reads members after each other, empty ones too, and zeros at the end (%i)',
    async (size) => {
      const file = Buffer.concat([empty, gzipSync(text), empty, gzipSync(text), empty]);
      expect((await read('gzip', file, size)).toString()).toBe('some textsome text');
      expect((await read('gzip', Buffer.concat([file, Buffer.alloc(1000)]), size)).toString()).toBe(
        'some textsome text',
      );
    },
  );

  it('reads a header with all of its fields', async () => {
    const extra = Buffer.from('\x04\0abcd', 'latin1');
    const header = Buffer.concat([
      Buffer.from([0x1f, 0x8b, 8, 0b11100, 1, 2, 3, 4, 0, 3]),
      extra,
      Buffer.from('name\0comment\0'),
    ]);
    const file = Buffer.concat([header, gzipSync(text).subarray(10)]);
    for (const size of [1, 1000]) expect((await read('gzip', file, size)).toString()).toBe('some text');
  });
});

describe('decompressing br', () => {
  it.each([0, 5, 11])('reads every window (quality %i)', async (quality) => {
    for (const window of [10, 16, 22, 24]) {
      const params = { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: window };
      expect((await read('br', brotliCompressSync(CONTENT, { params }))).equals(CONTENT)).toBe(true);
    }
  });

  it('refuses a large window, and says so', async () => {
    const params = { [constants.BROTLI_PARAM_LARGE_WINDOW]: 1, [constants.BROTLI_PARAM_LGWIN]: 28 };
    await expect(read('br', brotliCompressSync(CONTENT, { params }))).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('large window'),
    });
  });

  it('refuses one stream after another', async () => {
    const one = brotliCompressSync(CONTENT);
    await expect(read('br', Buffer.concat([one, one]))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });
});

describe('a file of an unknown compression', () => {
  it.each(['lrzip', '', 'ZSTD', 'constructor', '__proto__'])('(%j) is refused unread', async (name) => {
    const { source, taken } = watched(Buffer.from('x'));
    const error = await gather(decompress(name, source)).catch((reason) => reason);
    expect(error).toMatchObject({
      code: 'E_UNSUPPORTED',
      hint: expect.stringMatching(/^carport reads none, zstd, xz, gzip, br, bzip2/),
    });
    expect(taken()).toBe(0);
  });
});

describeWithProgram('xz', 'decompressing xz', () => {
  it('reads files of several blocks and of every check', async () => {
    for (const args of [['--block-size=65536'], ['--check=none'], ['--check=crc32'], ['--check=crc64'], ['-9']]) {
      expect((await read('xz', runOnBytes('xz', ['-c', ...args], CONTENT))).equals(CONTENT)).toBe(true);
    }
  });

  it('refuses a file whose content is not what its check says', async () => {
    const file = runOnBytes('xz', ['-c', '--check=crc32'], noise(50_000));
    file[20_000]! ^= 1;
    await expect(read('xz', file)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it.each([1, 7, 1_000_000])('reads streams after each other and zeros between them, in pieces of %i', async (size) => {
    const streams = ['one ', 'two'].map((text) => runOnBytes('xz', ['-c'], Buffer.from(text)));
    const file = Buffer.concat([streams[0]!, Buffer.alloc(4), streams[1]!, Buffer.alloc(8)]);
    expect((await read('xz', file, size)).toString()).toBe('one two');
  });

  it('refuses a dictionary of more than 64 MiB', async () => {
    const withDictionary = (size: string) => runOnBytes('xz', ['-c', `--lzma2=dict=${size}`], Buffer.from('x'));
    expect((await read('xz', withDictionary('64MiB'))).toString()).toBe('x');
    for (const size of ['65MiB', '1536MiB']) {
      await expect(read('xz', withDictionary(size))).rejects.toMatchObject({
        code: 'E_UNSUPPORTED',
        message: expect.stringContaining('dictionary of more than 64 MiB'),
      });
    }
  });

  it.each([
    ['a check that it does not know', ['--check=sha256'], 'E_UNSUPPORTED'],
    ['a filter', ['--x86', '--lzma2'], 'E_UNSUPPORTED'],
    ['a filter before another', ['--delta=dist=4', '--lzma2'], 'E_UNSUPPORTED'],
    ['the older format', ['--format=lzma'], 'E_INTEGRITY'],
  ])('refuses %s, and says whether it is one that carport does not know', async (_, args, code) => {
    await expect(read('xz', runOnBytes('xz', ['-c', ...args], CONTENT))).rejects.toMatchObject({ code });
  });

  it('reads one file after another, after one that was damaged and one that was left', async () => {
    const file = runOnBytes('xz', ['-c'], CONTENT);
    await expect(read('xz', file.subarray(0, 100))).rejects.toThrow();
    for await (const _ of decompress('xz', stream(file, 100))) break;
    expect((await read('xz', file)).equals(CONTENT)).toBe(true);
  });
});

async function* pieceByPiece(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** A stream that tells how much of it was taken, and when it was let go. */
function watched(bytes: Uint8Array) {
  let taken = 0;
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  async function* source() {
    try {
      for await (const piece of stream(bytes)) {
        taken += piece.length;
        yield piece;
      }
    } finally {
      release();
    }
  }
  return { source: source(), released, taken: () => taken };
}
