/** What the headers of an answer tell of an object and of the server's clock. */

import { CarportError } from '../errors.js';
import type { ResponseHeaders } from '../http/transport.js';
import { encodingsOf } from './content-encoding.js';
import type { ObjectStat } from './object-store.js';

/** What a good answer to HEAD tells of an object. */
export function statOf(headers: ResponseHeaders): ObjectStat {
  const modified = Date.parse(headers['last-modified'] ?? '');
  return {
    // Of what is encoded the length says nothing.
    size: encodingsOf(headers).length > 0 ? Number.NaN : Number(headers['content-length'] ?? Number.NaN),
    modified: Number.isNaN(modified) ? undefined : new Date(modified),
    etag: headers.etag,
  };
}

/** The time on the server when it answered; `E_REMOTE` where it does not tell. An answer that a proxy has kept has aged. */
export function serverTime({ date, age }: ResponseHeaders, url: string): Date {
  const time = Date.parse(date ?? '') + 1000 * Number(age ?? 0);
  if (!Number.isNaN(time)) return new Date(time);
  throw new CarportError('E_REMOTE', `\`${url}\` does not tell its time`, {
    cause: new Error('its answer has no `Date`'),
    hint: 'a proxy before it may leave the header out',
  });
}
