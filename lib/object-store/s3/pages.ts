/** Listings that do not end. */

import { CarportError } from '../../errors.js';

/** Where the next page of a listing begins, which must not be where the last one began. */
export function nextPage(what: string, last: string | undefined, next: string | undefined): string {
  if (next !== undefined && next !== '' && next !== last) return next;
  throw new CarportError('E_REMOTE', `the server's list of ${what} does not go on where it says that there is more`, {
    hint: 'the server, or a proxy before it, does not do all of the S3 API',
  });
}
