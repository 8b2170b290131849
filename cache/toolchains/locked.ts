/** Compares what is locked with what a cache or a store has: says which of them is wrong. */

import { CarportError } from '../../lib/errors.js';
import { formatHash, type Hash, hashesEqual } from '../../lib/nix/hash.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { verifyPath } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';

/** What a lock says of a path. */
export interface LockedContent {
  readonly narHash: Hash;
  /** The toolchain, and the file that locks it. */
  readonly toolchain: string;
  readonly file: string;
  /** The day since when the pin stood for it. */
  readonly since: string;
}

/** Throws where a cache says otherwise than the lock. What it says has been accepted: who signed it is told. */
export function requireLockedContent(
  info: PathInfo,
  locked: LockedContent,
  { keys }: TrustPolicy,
  cacheUrl: string,
): void {
  if (hashesEqual(info.narHash, locked.narHash)) return;
  const verdict = verifyPath(info, keys);
  const signed = verdict.state === 'valid';
  const by = signed ? `signed by \`${verdict.keyName}\`` : 'which nobody vouches for';
  throw disagreement(info, locked, `\`${cacheUrl}\` has ${formatHash(info.narHash, 'sri')}, ${by}`, {
    hint: signed
      ? `the signature is right, so the lock was changed by hand, or the path was built and signed again: compare \`git log -p carport.lock\`; ${update(locked)} takes what is signed`
      : 'either of the two may be wrong: trust a key that has signed the path',
  });
}

/** Throws where a path that is here has other content than the lock says. */
export function requireSameHere(info: PathInfo, locked: LockedContent, store: string): void {
  if (hashesEqual(info.narHash, locked.narHash)) return;
  throw disagreement(info, locked, `${store} has ${formatHash(info.narHash, 'sri')}`, {
    hint: `it is another build of the same path: compare \`git log -p carport.lock\`; if that is right, use another \`--store\`, and if what is here is, ${update(locked)}`,
  });
}

/** Throws where two toolchains lock a path to two contents: it cannot be both. */
export function requireOneLock(path: string, locked: LockedContent, other: LockedContent): void {
  if (hashesEqual(locked.narHash, other.narHash)) return;
  const otherwise = `\`${other.file}\` has ${formatHash(other.narHash, 'sri')} for \`${other.toolchain}\``;
  throw disagreement({ path }, locked, otherwise, {
    hint: `one of the two was built again: ${update(locked)} or ${update(other)} takes what is signed now`,
  });
}

function disagreement(
  { path }: Pick<PathInfo, 'path'>,
  { toolchain, file, narHash }: LockedContent,
  found: string,
  details: { readonly hint: string },
): CarportError {
  const message = `\`${file}\` has another NAR hash for \`${path}\` of \`${toolchain}\` than is there`;
  const cause = new Error(`it says ${formatHash(narHash, 'sri')}, and ${found}`);
  return new CarportError('E_INTEGRITY', message, { cause, ...details });
}

/** The error for a locked path that no cache has any more. */
export function lockedPathIsGone(path: string, { toolchain, since }: LockedContent, urls: string): CarportError {
  return new CarportError('E_NOT_FOUND', `\`${path}\` of the toolchain \`${toolchain}\` is not in ${urls}`, {
    cause: new Error(
      `it is what was locked, of ${since.slice(0, 10)}; a garbage collection of the cache may have removed it`,
    ),
    hint: `${update({ toolchain })} takes what the pin stands for now; or name a cache that still has it with \`--from\``,
  });
}

function update({ toolchain }: Pick<LockedContent, 'toolchain'>): string {
  return `\`carport lock --update ${toolchain}\``;
}
