/** Bytes that are checked as they are read. */

import { createHash } from 'node:crypto';
import { CarportError } from '../errors.js';
import type { Descriptor } from './documents.js';

/** Passes on the bytes of a blob; throws `E_INTEGRITY` at the first too many, and at the end where they are not what was named. */
export async function* checkedPieces(
  pieces: AsyncIterable<Uint8Array>,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  place: string,
): AsyncGenerator<Uint8Array> {
  const hasher = createHash('sha256');
  let read = 0;
  const refuse = () =>
    new CarportError('E_INTEGRITY', `\`${digest}\` of \`${place}\` is not what its digest says`, {
      hint: 'what stores it has damaged it, or gives out something else',
    });
  for await (const bytes of pieces) {
    read += bytes.length;
    if (read > size) throw refuse();
    hasher.update(bytes);
    yield bytes;
  }
  if (read !== size || `sha256:${hasher.digest('hex')}` !== digest) throw refuse();
}
