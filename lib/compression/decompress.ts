import { type Duplex, pipeline, Readable } from 'node:stream';
import { ReadableStream } from 'node:stream/web';
import { createBrotliDecompress, createGunzip } from 'node:zlib';
import { createBufferPool } from '../buffers.js';
import { CarportError } from '../errors.js';

/** Bytes that one step of decompression gives at most: an archive that explodes is stopped piece by piece. */
const PIECE_SIZE = 256 * 1024;

/** Windows larger than zstd's own default for readers (128 MiB) are refused. */
const ZSTD_WINDOW_LOG_MAX = 27;

type Source = AsyncIterable<Uint8Array>;
type Decompressor = (source: Source) => AsyncIterable<Uint8Array>;

/** By their names in narinfos. */
const DECOMPRESSORS: Readonly<Record<string, Decompressor>> = {
  none: (source) => source,
  zstd: decompressZstd,
  xz: decompressXz,
  gzip: (source) => through(source, createGunzip()),
  br: (source) => through(source, createBrotliDecompress()),
};

/**
 * Decompresses an untrusted stream, in pieces of bounded size that are made only when they are asked for. Whatever the
 * library says about damaged data becomes `E_INTEGRITY`.
 */
export async function* decompress(compression: string, source: Source): AsyncGenerator<Uint8Array> {
  const decompressor = Object.hasOwn(DECOMPRESSORS, compression) ? DECOMPRESSORS[compression] : undefined;
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
    if (cause instanceof CarportError) throw cause;
    throw new CarportError('E_INTEGRITY', `the data is damaged: it is not ${compression}`, { cause });
  }
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

/** Takes any number of frames, skippable ones too. */
async function* decompressZstd(source: Source): AsyncGenerator<Uint8Array> {
  const { default: zstd } = await import('zstd-napi/binding.js');
  const context = new zstd.DCtx();
  context.setParameter(zstd.DParameter.windowLogMax, ZSTD_WINDOW_LOG_MAX);
  const output = outputs.take();
  let atFrameEnd = true;
  for await (const input of source) {
    for (let offset = 0, full = false; offset < input.length || full; ) {
      const [expected, produced, consumed] = context.decompressStream(output, input.subarray(offset));
      offset += consumed;
      full = produced === output.length;
      atFrameEnd = expected === 0;
      if (produced > 0) yield output.subarray(0, produced);
    }
  }
  if (!atFrameEnd) throw truncated('zstd');
  outputs.giveBack(output);
}

/** Both ends of a pipeline know when the other fails, or is no longer read. */
function through(source: Source, stream: Duplex): Source {
  return pipeline(Readable.from(source, { objectMode: false }), stream, () => undefined);
}

/** Takes any number of streams, with zeros between them. Dictionaries of more than 64 MiB are refused. */
async function* decompressXz(source: Source): AsyncGenerator<Uint8Array> {
  const { default: xz } = await import('xz-decompress');
  const pieces = source[Symbol.asyncIterator]();
  let ended = false;
  const input = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let { value, done } = await pieces.next();
        // The library takes an empty piece for data that has stopped.
        while (!done && value.length === 0) ({ value, done } = await pieces.next());
        // The library may ask once more while it still has output; asked again, it would wait for ever.
        if (!done) controller.enqueue(value);
        else if (!ended) controller.enqueue(new Uint8Array());
        else controller.error(truncated('xz'));
        ended = done === true;
      },
    },
    { highWaterMark: 0 },
  );
  try {
    yield* new xz.XzReadableStream(input as never) as unknown as AsyncIterable<Uint8Array>;
  } finally {
    // Not awaited: the library reads ahead, and the source may never answer.
    pieces.return?.().catch(() => undefined);
  }
}

function truncated(compression: string): CarportError {
  return new CarportError('E_INTEGRITY', `the data is damaged: the ${compression} stream is truncated`);
}
