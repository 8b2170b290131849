/** Every compression that can be read, in pieces of bounded size. */

import type { Duplex } from 'node:stream';
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib';
import { createBufferPool, feed } from '../buffers.js';
import { CarportError } from '../errors.js';
import { decompressByProgram, READ_BY_PROGRAM } from './by-program.js';
import { formatOf, HEAD_SIZE } from './format-of.js';
import { peek } from './peek.js';
import { decompressXz } from './xz/read.js';
import { loadZstd } from './zstd-binding.js';

/** Bytes that one step of decompression gives at most: an archive that explodes is stopped piece by piece. */
const PIECE_SIZE = 256 * 1024;

/** Windows larger than zstd's own default for readers (128 MiB) are refused. */
export const ZSTD_WINDOW_LOG_MAX = 27;

type Source = AsyncIterable<Uint8Array>;
/** Decompresses a stream of one compression; the pieces are as those of `decompress`. */
export type Decompressor = (source: Source) => AsyncIterable<Uint8Array>;

/** By their names in narinfos. */
const DECOMPRESSORS: Readonly<Record<string, Decompressor>> = {
  none: (source) => source,
  zstd: decompressZstd,
  xz: decompressXz,
  // Zeros after the last member are taken for padding, and end it.
  gzip: (source) => through(source, createGunzip()),
  br: decompressBrotli,
  ...Object.fromEntries(
    READ_BY_PROGRAM.map((name) => [name, (source: Source) => decompressByProgram(name, source)] as const),
  ),
  bzip2: decompressBzip2,
  // HTTP's name of zlib's format; some servers leave its head out.
  deflate: decompressDeflate,
};

/** What the libraries say of files that are well made, as far as they looked, and what that means. */
const UNSUPPORTED: readonly (readonly [says: RegExp, why: string])[] = [
  [/^Frame requires too much memory/, 'it needs a window of more than 128 MiB'],
  [/^Dictionary mismatch/, 'it needs a dictionary, which it does not hold'],
  [/^(Unsupported frame parameter|Version not supported)/, 'it is of a newer format'],
  [/error code 4$|usage limit reached/, 'it needs a dictionary of more than 64 MiB'],
  [/error code 6$|Unsupported options/, 'it has a filter, or a check such as SHA-256, that carport does not know'],
  [/WINDOW_BITS$/, 'it has a large window, which is not of RFC 7932'],
  [/^Allocation error|error code 3$|Cannot allocate/, 'it needs more memory than there is'],
];

/**
 * Decompresses an untrusted stream, in pieces of bounded size that are made only when they are asked for. A piece is valid
 * until the next one is asked for. What the library does not take becomes `E_INTEGRITY`, and what it does not know
 * `E_UNSUPPORTED`: a wrong bit can look like that, too. `zstd` does the work for that compression, if it is given.
 */
export async function* decompress(
  compression: string,
  source: Source,
  zstd: Decompressor = decompressZstd,
): AsyncGenerator<Uint8Array> {
  const known = Object.hasOwn(DECOMPRESSORS, compression) ? DECOMPRESSORS[compression] : undefined;
  const decompressor = known === decompressZstd ? zstd : known;
  if (decompressor === undefined) {
    throw new CarportError('E_UNSUPPORTED', `compression \`${compression}\` is not supported`, {
      hint: `carport reads ${Object.keys(DECOMPRESSORS).join(', ')}`,
    });
  }
  const watched = watch(source);
  try {
    yield* decompressor(watched.source);
  } catch (cause) {
    const failure = watched.failure();
    if (failure) throw failure.error;
    // Of the system: what is decompressed beside others is written by then.
    if (cause instanceof CarportError || (cause instanceof Error && 'syscall' in cause)) throw cause;
    throw refused(compression, cause);
  }
}

function refused(compression: string, cause: unknown): CarportError {
  const says = cause instanceof Error ? [cause.message, 'code' in cause ? String(cause.code) : ''] : [];
  const unsupported = UNSUPPORTED.find(([pattern]) => says.some((text) => pattern.test(text)));
  if (unsupported) {
    return new CarportError('E_UNSUPPORTED', `carport cannot read the ${compression} file: ${unsupported[1]}`, {
      cause,
    });
  }
  if (says.some((text) => /unexpected end of (file|input)$/i.test(text))) return truncated(compression);
  return new CarportError('E_INTEGRITY', `the file is not valid ${compression}`, { cause });
}

/** A source that remembers its own error. Without `throw`: streams hand an error of the data back to the source. */
function watch(source: Source) {
  const pieces = source[Symbol.asyncIterator]();
  let failure: { readonly error: unknown } | undefined;
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      try {
        return await pieces.next();
      } catch (error) {
        failure = { error };
        throw error;
      }
    },
    return: async () => (await pieces.return?.()) ?? { value: undefined, done: true },
  };
  return { source: { [Symbol.asyncIterator]: () => iterator }, failure: () => failure };
}

const outputs = createBufferPool(PIECE_SIZE);

/** What is taken of zstd. */
interface ZstdLimits {
  readonly windowLogMax?: number;
  readonly isOneFrame?: boolean;
}

/** Takes any number of frames, skippable ones too, and at least one; unless it is to be one. */
export async function* decompressZstd(
  source: Source,
  { windowLogMax = ZSTD_WINDOW_LOG_MAX, isOneFrame = false }: ZstdLimits = {},
): AsyncGenerator<Uint8Array> {
  const zstd = await loadZstd();
  const context = new zstd.DCtx();
  context.setParameter(zstd.DParameter.windowLogMax, windowLogMax);
  const output = outputs.take();
  let atFrameEnd = false;
  for await (const input of source) {
    // zstd answers 0 when a frame has ended and all of it was given; asked again without input, it would wait for another.
    for (let offset = 0, holdsMore = false; offset < input.length || holdsMore; ) {
      if (atFrameEnd && isOneFrame) throw new CarportError('E_INTEGRITY', 'bytes come after the end of the zstd frame');
      const [expected, produced, consumed] = context.decompressStream(output, input.subarray(offset));
      offset += consumed;
      atFrameEnd = expected === 0;
      holdsMore = produced === output.length && !atFrameEnd;
      if (produced > 0) yield output.subarray(0, produced);
    }
  }
  if (!atFrameEnd) throw truncated('zstd');
  outputs.giveBack(output);
}

async function* decompressDeflate(source: Source): AsyncGenerator<Uint8Array> {
  const { head, whole } = await peek(source, 2);
  const [first = 0, second = 0] = head;
  const hasHead = (first & 0x0f) === 8 && (first * 256 + second) % 31 === 0;
  yield* through(whole, hasHead ? createInflate() : createInflateRaw());
}

/** The name stands in narinfos that have none, too: there Nix goes by the file. */
async function* decompressBzip2(source: Source): AsyncGenerator<Uint8Array> {
  const { head, whole } = await peek(source, HEAD_SIZE);
  const found = formatOf(head) ?? 'bzip2';
  yield* found === 'bzip2' ? decompressByProgram('bzip2', whole) : DECOMPRESSORS[found]!(whole);
}

/** Node passes over what comes after the end of a brotli stream. */
async function* decompressBrotli(source: Source): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  let given = 0;
  async function* counted(): AsyncGenerator<Uint8Array> {
    for (let { value, done } = await pieces.next(); !done; { value, done } = await pieces.next()) {
      given += value.length;
      yield value;
    }
  }
  const stream = createBrotliDecompress();
  try {
    yield* through(counted(), stream);
    for (let isAtEnd = false; !isAtEnd && given === stream.bytesWritten; ) {
      const { value, done } = await pieces.next();
      isAtEnd = done === true;
      given += value?.length ?? 0;
    }
    if (given === stream.bytesWritten) return;
    throw new CarportError('E_INTEGRITY', 'the file is not valid br', { cause: new Error('bytes come after its end') });
  } finally {
    // Not awaited: the source may never answer.
    pieces.return?.().catch(() => undefined);
  }
}

function through(source: Source, stream: Duplex): Source {
  feed(source, stream).catch((error) => stream.destroy(error));
  return stream;
}

function truncated(compression: string): CarportError {
  return new CarportError('E_INTEGRITY', `the ${compression} file is not whole: its end is missing`);
}
