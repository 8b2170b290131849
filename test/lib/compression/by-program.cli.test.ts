import { gzipSync } from 'node:zlib';
import { describe, expect, it, onTestFinished } from 'vitest';
import { decompress } from '#lib/compression/decompress.js';
import { gather, inSameMemory, noise, stream } from '../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../support/programs.js';

const CONTENT = Buffer.concat([Buffer.alloc(700_000, 'some text '), noise(300_000), Buffer.alloc(1000)]);

/** How each is made. */
const COMPRESSORS: readonly (readonly [name: string, program: string, args: readonly string[]])[] = [
  ['bzip2', 'bzip2', ['-c']],
  ['lzma', 'xz', ['-c', '--format=lzma']],
  ['lzip', 'lzip', ['-c']],
  ['lz4', 'lz4', ['-c']],
];

const read = (name: string, file: Uint8Array, pieceSize?: number): Promise<Buffer> =>
  gather(decompress(name, stream(file, pieceSize)));

describe.each(COMPRESSORS)('%s', (name, program, args) => {
  describeWithProgram(program, 'as its program makes it', () => {
    const file = () => runOnBytes(program, args, CONTENT);

    it('is read, in pieces of bounded size', async () => {
      expect((await read(name, file(), 1000)).equals(CONTENT)).toBe(true);
      expect((await read(name, runOnBytes(program, args, Buffer.from('x')))).toString()).toBe('x');
      for await (const piece of decompress(name, stream(file()))) expect(piece.length).toBeLessThan(256 * 1024 + 1);
    });

    it('is refused when it is none, or not whole', async () => {
      const whole = file();
      await expect(read(name, Buffer.alloc(0))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      await expect(read(name, whole.subarray(0, 1))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      await expect(read(name, noise(5000))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      await expect(read(name, whole.subarray(0, -1))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      await expect(read(name, whole.subarray(0, 2000))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    });

    it('is read from memory that is used again', async () => {
      const content = noise(1_200_000);
      const bytes = await gather(decompress(name, inSameMemory(runOnBytes(program, args, content))));
      expect(bytes.equals(content)).toBe(true);
    });

    it('throws the very error that the source throws', async () => {
      const failure = new Error('the connection broke');
      const bytes = file().subarray(0, 1000);
      async function* broken() {
        yield bytes;
        throw failure;
      }
      await expect(gather(decompress(name, broken()))).rejects.toBe(failure);
    });

    it('lets source and program go when the reader stops, and takes no more than it needs', async () => {
      const large = runOnBytes(program, args, noise(1_500_000));
      let taken = 0;
      let release: () => void;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      async function* source() {
        try {
          for await (const piece of stream(large, 1000)) {
            taken += piece.length;
            yield piece;
          }
        } finally {
          release();
        }
      }
      for await (const _ of decompress(name, source())) break;
      await released;
      expect(taken).toBeLessThan(1_200_000);
    });

    it('needs its program, and says so', async () => {
      const { PATH } = process.env;
      onTestFinished(() => {
        process.env.PATH = PATH;
      });
      const bytes = file();
      process.env.PATH = '/nowhere';
      await expect(read(name, bytes)).rejects.toMatchObject({
        code: 'E_PROGRAM',
        message: expect.stringMatching(/needs the program `(bzip2|xz|lz4|gzip)`/),
        hint: expect.stringContaining('Debian'),
      });
    });
  });
});

describeWithProgram('xz', 'what needs more memory than it may', () => {
  it('is not read', async () => {
    const file = runOnBytes('xz', ['-c', '--format=lzma', '--lzma1=dict=16MiB'], CONTENT);
    file.writeUInt32LE(0x60000000, 1);
    await expect(read('lzma', file)).rejects.toMatchObject({
      code: 'E_UNSUPPORTED',
      message: expect.stringContaining('128 MiB'),
    });
  });
});

describeWithProgram('xz', 'options in the environment', () => {
  it('do not change what is read', async () => {
    const file = runOnBytes('xz', ['-c', '--format=lzma'], CONTENT);
    process.env.XZ_OPT = '--list';
    onTestFinished(() => {
      delete process.env.XZ_OPT;
    });
    expect((await read('lzma', file)).equals(CONTENT)).toBe(true);
  });
});

describeWithProgram('gzip', 'compress', () => {
  /** As `compress` writes a few bytes: the code of each, in 9 bits. */
  const compressed = (text: string): Buffer => {
    const bits = [...Buffer.from(text)].map((byte) => byte.toString(2).padStart(9, '0'));
    const stream = bits.map((code) => [...code].reverse().join('')).join('');
    const bytes = stream.match(/.{1,8}/g)!.map((byte) => Number.parseInt([...byte].reverse().join(''), 2));
    return Buffer.from([0x1f, 0x9d, 0x90, ...bytes]);
  };

  it('is read, and nothing else that gzip reads', async () => {
    expect((await read('compress', compressed('some text'))).toString()).toBe('some text');
    await expect(read('compress', gzipSync('x'))).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });
});

describe('bzip2, which is also what no name means', () => {
  it.each([
    ['gzip', gzipSync(CONTENT)],
    ['none', Buffer.concat([Buffer.from('\x0d\0\0\0\0\0\0\0nix-archive-1\0\0\0', 'latin1'), CONTENT])],
  ])('is read as %s where the file is that', async (name, file) => {
    expect((await read('bzip2', file)).equals(await read(name, file))).toBe(true);
  });
});
