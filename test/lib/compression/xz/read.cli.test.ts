import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { decompress } from '#lib/compression/decompress.js';
import { CarportError } from '#lib/errors.js';
import { gather, inSameMemory, noise, stream, useDirectory } from '../../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../../support/programs.js';

/** Compresses to more than what a process is started for. */
const CONTENT = Buffer.concat([Buffer.alloc(600_000, 'some text '), noise(700_000), Buffer.alloc(100_000)]);
const xz = (args: readonly string[], content: Uint8Array = CONTENT): Buffer =>
  runOnBytes('xz', ['-c0', ...args], content);

/** What comes of a file: its content, or the error that ends it. */
async function read(file: Uint8Array): Promise<unknown> {
  try {
    const bytes = await gather(decompress('xz', inSameMemory(file)));
    return { size: bytes.length, isContent: bytes.subarray(0, CONTENT.length).equals(CONTENT) };
  } catch (error) {
    return error instanceof CarportError ? { code: error.code, message: error.message } : error;
  }
}

function withPath(path: string): void {
  const { PATH } = process.env;
  process.env.PATH = path;
  onTestFinished(() => {
    process.env.PATH = PATH;
  });
}

const damaged = (file: Buffer, at: number): Buffer => {
  const copy = Buffer.from(file);
  copy[at < 0 ? file.length + at : at]! ^= 0x40;
  return copy;
};

describeWithProgram('xz', 'a large file, with the program and without', () => {
  const plain = xz([]);
  const zeros = (count: number) => Buffer.alloc(count);
  const sha256 = xz(['--check=sha256']);
  const files: readonly (readonly [string, Uint8Array, string])[] = [
    ['plain', plain, ''],
    ['without a check', xz(['--check=none']), ''],
    ['with CRC32', xz(['--check=crc32']), ''],
    ['of blocks', xz(['--block-size=100000']), ''],
    ['of blocks that tell their sizes', xz(['-T2', '--block-size=150000']), ''],
    ['with a dictionary of 64 MiB', xz(['--lzma2=preset=0,dict=64MiB']), ''],
    ['of two streams', Buffer.concat([plain, xz([], Buffer.from('more'))]), ''],
    ['with zeros between', Buffer.concat([plain, zeros(8), plain, zeros(400)]), ''],
    ['with three zeros', Buffer.concat([plain, zeros(3)]), 'E_INTEGRITY'],
    ['with three zeros between', Buffer.concat([plain, zeros(3), plain]), 'E_INTEGRITY'],
    ['and bytes', Buffer.concat([plain, Buffer.from('trailing bytes')]), 'E_INTEGRITY'],
    ['and zeros and bytes', Buffer.concat([plain, zeros(4), noise(300_000)]), 'E_INTEGRITY'],
    ['and half a stream', Buffer.concat([plain, plain.subarray(0, 400_000)]), 'E_INTEGRITY'],
    ['and the start of one', Buffer.concat([plain, plain.subarray(0, 5)]), 'E_INTEGRITY'],
    ['cut in its head', plain.subarray(0, 300_000), 'E_INTEGRITY'],
    ['cut in its content', plain.subarray(0, 600_000), 'E_INTEGRITY'],
    ['cut in its index', plain.subarray(0, -20), 'E_INTEGRITY'],
    ['cut in its footer', plain.subarray(0, -1), 'E_INTEGRITY'],
    ['damaged in its magic', damaged(plain, 2), 'E_INTEGRITY'],
    ['damaged in its flags', damaged(plain, 7), 'E_INTEGRITY'],
    ['damaged in its header', damaged(plain, 14), 'E_INTEGRITY'],
    ['damaged early', damaged(plain, 20_000), 'E_INTEGRITY'],
    ['damaged late', damaged(plain, 650_000), 'E_INTEGRITY'],
    ['damaged in its index', damaged(plain, -20), 'E_INTEGRITY'],
    ['damaged in its footer', damaged(plain, -6), 'E_INTEGRITY'],
    ['with SHA-256', sha256, 'E_UNSUPPORTED'],
    ['with SHA-256 in its second stream', Buffer.concat([plain, sha256]), 'E_UNSUPPORTED'],
    ['with a second stream that is damaged', Buffer.concat([plain, damaged(sha256, 8)]), 'E_INTEGRITY'],
    ['with a filter', xz(['--x86', '--lzma2=preset=0']), 'E_UNSUPPORTED'],
    ['with a filter later', Buffer.concat([plain, xz(['--delta', '--lzma2=preset=0'])]), 'E_UNSUPPORTED'],
    ['with a dictionary of 96 MiB', xz(['--lzma2=preset=0,dict=96MiB']), 'E_UNSUPPORTED'],
    ['with one later', Buffer.concat([plain, xz(['--lzma2=preset=0,dict=96MiB'])]), 'E_UNSUPPORTED'],
    ['with the largest later', Buffer.concat([plain, xz(['--lzma2=preset=0,dict=1536MiB'])]), 'E_UNSUPPORTED'],
    ['of the older format', xz(['--format=lzma']), 'E_INTEGRITY'],
  ];

  it.each(files)('%s', { timeout: 60_000 }, async (_, file, code) => {
    const byProgram = await read(file);
    expect(byProgram).toMatchObject(code === '' ? { isContent: true } : { code });
    withPath('/nowhere');
    expect(await read(file)).toEqual(byProgram);
  });
});

describeWithProgram('xz', 'which of both reads a file', () => {
  const real = runOnBytes('sh', ['-c', 'command -v xz']).toString().trim();
  const plain = xz([]);

  const directory = useDirectory();

  /** A program of this name on a PATH of their own, which writes down when it is run. */
  async function withXz(script: string): Promise<() => Promise<string>> {
    const log = join(directory(), 'log');
    await writeFile(log, '');
    const text = `#!/bin/sh\necho "$@" >> ${log}\nPATH=/usr/bin:/bin\n${script}\n`;
    await writeFile(join(directory(), 'xz'), text, { mode: 0o755 });
    withPath(directory());
    return () => readFile(log, 'utf8');
  }

  it('is the program for a large one only, without the options of the user', async () => {
    process.env.XZ_OPT = '--list';
    onTestFinished(() => {
      delete process.env.XZ_OPT;
    });
    const log = await withXz(`exec ${real} "$@"`);
    expect(await read(plain.subarray(0, 200_000))).toMatchObject({ code: 'E_INTEGRITY' });
    expect(await log()).toBe('');
    expect(await read(plain)).toMatchObject({ isContent: true });
    expect((await log()).trim().split('\n')).toEqual([expect.stringContaining('--memlimit-decompress=128MiB')]);
  });

  it.each([
    ['knows less', 'echo "xz: unrecognized option" >&2; exit 1'],
    ['is none', 'exit 0'],
    ['is ended at once', 'kill -9 $$'],
    ['cannot be started', undefined],
  ])('is the library where the program %s', async (_, script) => {
    const log = await withXz(script ?? '');
    if (script === undefined) await writeFile(join(directory(), 'xz'), '#!/nowhere/sh\n');
    expect(await read(plain)).toMatchObject({ isContent: true });
    expect((await log()) !== '').toBe(script !== undefined);
  });

  it('blames the program, and not the file, when it ends in the midst', async () => {
    await withXz(`head -c 1000 ${real}; kill -9 $$`);
    expect(await read(plain)).toMatchObject({ code: 'E_PROGRAM', message: '`xz` failed' });
  });

  it('lets source and program go when the reader stops, and takes no more than it needs', async () => {
    const large = xz([], noise(3_000_000));
    let taken = 0;
    const isReleased = new Promise<void>((resolve) => {
      async function* source() {
        try {
          for await (const piece of stream(large, 50_000)) {
            taken += piece.length;
            yield piece;
          }
        } finally {
          resolve();
        }
      }
      void (async () => {
        for await (const _ of decompress('xz', source())) break;
      })();
    });
    await isReleased;
    expect(taken).toBeLessThan(1_500_000);
  });
});
