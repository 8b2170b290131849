/** Reads xz with a library in WebAssembly, which needs no program, and takes three times what the program does. */

import { ReadableStream } from 'node:stream/web';

/** Takes any number of streams, with zeros between them. Dictionaries of more than 64 MiB are refused. */
export async function* decompressXzByLibrary(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
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
        else controller.error(new Error('unexpected end of file'));
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
