/** Who is told a token or a password: without TLS, everybody on the way. */

import { CarportError } from '../errors.js';
import { isLoopbackName } from './ip-address.js';

/** Throws `E_USAGE` for an address without TLS on another machine, unless that is allowed. */
export function requireTls({ protocol, host, hostname }: URL, isAllowed = false): void {
  if (protocol === 'https:' || isAllowed || isLoopbackName(hostname)) return;
  throw new CarportError('E_USAGE', `\`${host}\` would be told the token or password without TLS`, {
    hint: 'write `https://`, or allow it with `--plain-http`',
  });
}
