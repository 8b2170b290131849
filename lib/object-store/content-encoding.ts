/** What a server says to have encoded (`Content-Encoding`), as it was before. */

import { decompress } from '../compression/decompress.js';
import { CarportError } from '../errors.js';
import type { ResponseHeaders } from '../http/transport.js';

/** The compressions by their names in the header (RFC 9110, section 8.4.1), and others that servers of caches use. */
const COMPRESSIONS: Readonly<Record<string, string>> = {
  ...{ gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', br: 'br', zstd: 'zstd', xz: 'xz', 'x-xz': 'xz' },
  ...{ bzip2: 'bzip2', 'x-bzip2': 'bzip2', compress: 'compress', 'x-compress': 'compress' },
};

/** Not encoded; `aws-chunked` is how an upload was sent, which some servers keep as if it were of the object. */
const NONE = ['', 'identity', 'none', 'aws-chunked'];

/** Nobody encodes more often. */
const MAX_ENCODINGS = 3;

/** How an answer is encoded, in the order in which it was done. */
export function encodingsOf(headers: ResponseHeaders): readonly string[] {
  const names = (headers['content-encoding'] ?? '').split(',').map((name) => name.trim().toLowerCase());
  return names.filter((name) => !NONE.includes(name));
}

/**
 * Takes the encodings off, in bounded pieces; how many of them are wanted is for the reader to say. `name` is that of the
 * object in messages.
 */
export async function* decoded(
  source: AsyncIterable<Uint8Array>,
  encodings: readonly string[],
  name: string,
): AsyncGenerator<Uint8Array> {
  const says = `\`${name}\`, whose Content-Encoding is \`${encodings.join(', ').slice(0, 100)}\`,`;
  const compressions = encodings.map((encoding) =>
    Object.hasOwn(COMPRESSIONS, encoding) ? COMPRESSIONS[encoding] : undefined,
  );
  const isKnown = compressions.every((compression) => compression !== undefined);
  if (!isKnown || compressions.length > MAX_ENCODINGS) {
    throw new CarportError('E_UNSUPPORTED', `${says} cannot be read`, {
      hint: `carport reads the encodings ${Object.keys(COMPRESSIONS).join(', ')}`,
    });
  }
  let failure: { readonly error: unknown } | undefined;
  async function* remembered(): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      failure = { error };
      throw error;
    }
  }
  try {
    yield* compressions.reduceRight<AsyncIterable<Uint8Array>>(
      (bytes, compression) => decompress(compression, bytes),
      remembered(),
    );
  } catch (cause) {
    if (failure) throw failure.error;
    if (!(cause instanceof CarportError)) throw cause;
    throw new CarportError(cause.code, `${says} cannot be read`, { cause, hint: cause.hint ?? HINT });
  }
}

const HINT = 'it was damaged, or the server, or a proxy before it, says of it what it is not';
