import { setImmediate } from 'node:timers/promises';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import zstd from 'zstd-napi/binding.js';
import { createHashPartFinder } from '#lib/compression/chunks/hash-parts.js';
import { decompress } from '#lib/compression/decompress.js';
import { createZstdCompressor } from '#lib/compression/zstd-write.js';
import * as arbitrary from '../../support/arbitraries.js';
import { noise } from '../../support/files.js';
import { describeWithProgram, runOnBytes } from '../../support/programs.js';
import { frameOf, skippableFrame } from '../../support/zstd.js';

const KIB = 1024;
const PIECE = 256 * KIB;

/** Around the buffers of carport (256 KiB), the libraries (64 and 128 KiB), and of NARs whose file is a multiple of them. */
const SIZES = [
  ...[0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073],
  ...[
    PIECE - 112,
    PIECE - 1,
    PIECE,
    PIECE + 1,
    2 * PIECE,
    3 * PIECE,
    4 * PIECE - 1,
    4 * PIECE,
    4 * PIECE + 1,
    5 * PIECE,
  ],
];
const PIECE_SIZES = [7, 4096, 65_536, Number.MAX_SAFE_INTEGER];

const CONTENTS: Readonly<Record<string, (size: number) => Buffer>> = {
  text: (size) => Buffer.alloc(size, 'text\n'),
  noise,
  mixed: (size) => Buffer.concat([noise(size >> 1), Buffer.alloc(size - (size >> 1))]),
};

type Writer = (content: Uint8Array) => Buffer;

/** Writes a stream, as programs that read a pipe do: the frame does not tell its size. */
function streamed(content: Uint8Array, { pledged = false, checksum = false } = {}): Buffer {
  const context = new zstd.CCtx();
  context.setParameter(zstd.CParameter.checksumFlag, checksum ? 1 : 0);
  if (pledged) context.setPledgedSrcSize(content.length);
  const output = Buffer.alloc(zstd.compressBound(content.length) + KIB);
  const [, produced] = context.compressStream2(output, content, zstd.EndDirective.end);
  return output.subarray(0, produced);
}

function written(content: Uint8Array): Buffer {
  const compressor = createZstdCompressor(3, createHashPartFinder([]));
  const pieces: Buffer[] = [];
  for (const piece of compressor.push(content)) pieces.push(Buffer.from(piece));
  for (const piece of compressor.end()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const halved =
  (write: Writer): Writer =>
  (content) =>
    Buffer.concat([write(content.subarray(0, content.length >> 1)), write(content.subarray(content.length >> 1))]);

/** A frame for each piece, and frames that hold nothing before, between and after them. */
const framed: Writer = (content) => {
  const nothing = [skippableFrame(Buffer.from('abc')), frameOf(Buffer.alloc(0)), skippableFrame(Buffer.alloc(0))];
  const frames = [...nothing];
  for (let at = 0; at < content.length; at += PIECE) frames.push(frameOf(content.subarray(at, at + PIECE)), ...nothing);
  return Buffer.concat(frames);
};

const program =
  (name: string, ...args: readonly string[]): Writer =>
  (content) =>
    runOnBytes(name, args, content);

const LIBRARIES: readonly (readonly [string, string, Writer])[] = [
  ['zstd', 'one frame of known size', frameOf],
  ['zstd', 'streamed', streamed],
  ['zstd', 'streamed, of known size', (content) => streamed(content, { pledged: true })],
  ['zstd', 'streamed, with a checksum', (content) => streamed(content, { checksum: true })],
  ['zstd', 'of two frames', halved(streamed)],
  ['zstd', 'of many frames', framed],
  ['zstd', "of carport's own", written],
  ['gzip', 'one member', (content) => gzipSync(content, { level: 1 })],
  ['gzip', 'two members', halved((content) => gzipSync(content, { level: 9 }))],
  ['br', 'of quality 1', (content) => brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
];

const PROGRAMS: Readonly<Record<string, readonly (readonly [string, string, Writer])[]>> = {
  zstd: [
    ['-1', '-9', '--fast=5', '--long=27', '--no-check', '-T2'].map(
      (option) => ['zstd', option, program('zstd', '-c', option)] as const,
    ),
    [['zstd', 'of two frames', halved(program('zstd', '-c'))] as const],
  ].flat(),
  xz: [
    ['-0', '-6', '-9', '--check=none', '--check=crc32', '--block-size=65536'].map(
      (option) => ['xz', option, program('xz', '-c', '-0', option)] as const,
    ),
    [['xz', 'of two streams', halved(program('xz', '-c', '-0'))] as const],
  ].flat(),
  gzip: ['-1', '-9'].map((option) => ['gzip', option, program('gzip', '-c', option)] as const),
  brotli: [
    ['-q', '0'],
    ['-q', '5'],
    ['-q', '5', '-w', '24'],
    ['-q', '3', '-w', '10'],
  ].map((options) => ['br', options.join(' '), program('brotli', '-c', ...options)] as const),
};

/** Compares piece by piece: gathering megabytes takes longer than decompressing them. */
async function expectContent(
  name: string,
  file: Uint8Array,
  pieces: Iterable<Uint8Array>,
  content: Buffer,
  what: string,
) {
  let at = 0;
  for await (const piece of decompress(name, source(pieces))) {
    if (!content.subarray(at, at + piece.length).equals(piece)) throw new Error(`${what}: other bytes after ${at}`);
    at += piece.length;
  }
  // Contexts of zstd, which may have windows of 128 MiB, are freed between turns of the event loop only.
  await setImmediate();
  expect(at, `${what}, a file of ${file.length}`).toBe(content.length);
}

/** Each piece in memory of its own, which is gone when the next is asked for. */
async function* source(pieces: Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
}

function* cut(file: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < file.length; at += size) yield file.subarray(at, at + size);
}

function sizeTests(writers: readonly (readonly [string, string, Writer])[], sizes: readonly number[]): void {
  it.each(writers)('%s, %s', { timeout: 60_000 }, async (name, _, write) => {
    for (const [kind, contentOf] of Object.entries(CONTENTS)) {
      for (const size of kind === 'text' ? sizes : FEW_SIZES) {
        const content = contentOf(size);
        const file = write(content);
        for (const pieceSize of PIECE_SIZES) {
          if (file.length / pieceSize > 2000) continue;
          await expectContent(
            name,
            file,
            cut(file, pieceSize),
            content,
            `${size} of ${kind} in pieces of ${pieceSize}`,
          );
        }
      }
    }
  });
}

const FEW_SIZES = [PIECE, 4 * PIECE];

describe('every size around a buffer is read whole, as libraries write it:', () => {
  sizeTests(LIBRARIES, SIZES);
});

for (const [name, writers] of Object.entries(PROGRAMS)) {
  describeWithProgram(name, 'every size around a buffer is read whole, as programs write it:', () => {
    sizeTests(writers, [0, PIECE - 112, ...FEW_SIZES]);
  });
}

describe('zstd frames of any sizes', () => {
  const frame = fc.oneof(
    fc.record({
      pieces: fc.integer({ min: 0, max: 2 }),
      more: fc.constantFrom(0, 1, -1, 100),
      known: fc.boolean(),
      checksum: fc.boolean(),
    }),
    fc.constant('skippable' as const),
  );

  it('are read whole, wherever the pieces of the file end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 4 }), arbitrary.cuts(), async (frames, cuts) => {
        const contents = frames.map((each) => (each === 'skippable' ? Buffer.alloc(0) : contentOf(each)));
        const files = frames.map((each, index) =>
          each === 'skippable'
            ? skippableFrame(noise(index * 5))
            : streamed(contents[index]!, { pledged: each.known, checksum: each.checksum }),
        );
        const file = Buffer.concat(files);
        const content = Buffer.concat(contents);
        await expectContent('zstd', file, arbitrary.cutsOf(file, cuts), content, 'frames');
        // Its frames end where pieces do, and the last byte comes alone.
        await expectContent('zstd', file, files, content, 'a frame a piece');
        const alone = files.flatMap((each) => [each.subarray(0, -1), each.subarray(-1)]);
        await expectContent('zstd', file, alone, content, 'the last byte alone');
        for (const missing of [1, 2, 5]) {
          const rest = file.subarray(0, Math.max(0, file.length - missing));
          const ends = endsOf(files);
          if (ends.has(rest.length)) continue;
          await expect(expectContent('zstd', rest, [rest], content, 'cut')).rejects.toThrow('not whole');
        }
      }),
      { numRuns: 60 },
    );
  });

  const contentOf = ({ pieces, more }: { pieces: number; more: number }) =>
    Buffer.alloc(Math.max(0, pieces * PIECE + more), 'some text ');
});

/** Where a file may end: after a frame, but not before the first. */
function endsOf(files: readonly Uint8Array[]): ReadonlySet<number> {
  let end = 0;
  return new Set(files.map(({ length }) => (end += length)));
}
