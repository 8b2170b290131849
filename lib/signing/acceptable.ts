/** Whether what a cache says of a path is accepted. */

import { CarportError } from '../errors.js';
import { contradictsContent } from '../nix/content-address.js';
import { formatHash } from '../nix/hash.js';
import type { NarInfo } from '../nix/narinfo.js';
import { storeDirOf } from '../nix/store-path.js';
import { verifyPath } from './signature.js';
import { requireTrusted, type TrustPolicy } from './trust.js';

/** What is looked for. */
export interface WantedPath {
  /** The whole path, when it is known: another name under its hash part is refused. */
  readonly path: string | undefined;
  readonly storeDir: string;
}

/** Throws unless a narinfo is of the path that is wanted, signed as `trust` says, and does not contradict itself. */
export function requireAcceptable(
  info: NarInfo,
  { path, storeDir }: WantedPath,
  trust: TrustPolicy,
  cacheUrl: string,
): void {
  if (storeDirOf(info.path) !== storeDir || (path !== undefined && info.path !== path)) {
    throw new CarportError('E_INTEGRITY', `\`${cacheUrl}\` answers with \`${info.path}\` to \`${path ?? storeDir}\``, {
      hint: 'the cache is damaged or was tampered with: read from another one',
    });
  }
  requireTrusted(info, trust, `\`${cacheUrl}\``);
  // Of a signed path the signature tells which of the two is right.
  if (contradictsContent(info) && verifyPath(info, trust.keys).state !== 'valid') {
    throw new CarportError('E_INTEGRITY', `\`${cacheUrl}\` has other content for \`${info.path}\` than its name says`, {
      cause: new Error(`its content address is \`${info.ca}\`, its NAR hash ${formatHash(info.narHash, 'sri')}`),
      hint: 'the cache is damaged or was tampered with: read from another one',
    });
  }
}
