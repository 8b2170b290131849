/** What is accepted from elsewhere. */

import { CarportError } from '../errors.js';
import type { PathInfo } from '../nix/path-info.js';
import type { PublicKey, SecretKey } from './key.js';
import { signatureKeyName, verifyPath } from './signature.js';

/** What is accepted from elsewhere. */
export interface TrustPolicy {
  readonly keys: readonly PublicKey[];
  /** Take paths that no trusted key has signed. A signature that is wrong is refused all the same. */
  readonly allowUnsigned: boolean;
}

/** What is trusted by whoever signs with these keys. */
export function withOwnKeys<T extends TrustPolicy>(policy: T, keys: readonly SecretKey[]): T {
  return { ...policy, keys: [...keys.map(({ publicKey }) => publicKey), ...policy.keys] };
}

/** Throws unless what is said of a path may be believed; `source` is who says it. */
export function requireTrusted(info: PathInfo, trust: TrustPolicy, source: string): void {
  const verdict = verifyPath(info, trust.keys);
  if (verdict.state === 'valid' || (verdict.state === 'unsigned' && trust.allowUnsigned)) return;
  if (verdict.state === 'invalid') {
    throw new CarportError('E_SIGNATURE', `the signature of \`${info.path}\` by \`${verdict.keyName}\` is wrong`, {
      cause: new Error(`what ${source} says of the path is not what was signed`),
      hint: `${source} is damaged or was tampered with, or the trusted key of that name is another one`,
    });
  }
  throw untrustedError(`\`${info.path}\``, info.signatures);
}

/** The refusal of what no trusted key has signed; `what` is its subject, as it is printed. */
export function untrustedError(what: string, signatures: readonly string[]): CarportError {
  const names = signatures.map(signatureKeyName).map((name) => `\`${name}\``);
  return new CarportError('E_SIGNATURE', `${what} is not signed by a trusted key`, {
    cause: new Error(names.length > 0 ? `it is signed by ${names.join(', ')}` : 'it has no signature'),
    hint: 'trust a key with `--trusted-key NAME:BASE64`, or take what nobody vouches for with `--allow-unsigned`',
  });
}
