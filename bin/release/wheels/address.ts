/** Addresses of indexes of Python packages. */

import { CarportError } from '../../../lib/errors.js';

/** Reads an address; `place` is where it is given. Throws `E_USAGE` for what is none, and for one with a password in it. */
export function indexAddress(text: string, place: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) {
    throw new CarportError('E_USAGE', `what \`${place}\` gives is no address of an index`, {
      hint: 'give one such as `https://upload.pypi.org/legacy/`',
    });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CarportError('E_USAGE', `the address of \`${place}\` has a password in it, which others can see`, {
      hint: 'give the name with `--user` and the password with `--token-file FILE` or CARPORT_UPLOAD_TOKEN',
    });
  }
  return url;
}
