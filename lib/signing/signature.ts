/** Fingerprints, signing, verdicts. */

import { sign, verify } from 'node:crypto';
import { formatError } from '../errors.js';
import { renderHash, toBase64 } from '../nix/hash.js';
import type { PathInfo } from '../nix/path-info.js';
import type { PublicKey, SecretKey } from './key.js';

const SIGNATURE_SIZE = 64;

/** What a signature is made with: it can be handed to another thread. */
export type SigningKey = Pick<SecretKey, 'name' | 'privateKey'>;

type Fingerprinted = Pick<PathInfo, 'path' | 'narHash' | 'narSize' | 'references'>;

/** What a signature covers, and nothing else is covered: store path, NarHash, NarSize, references (full, sorted). */
export function fingerprint(info: Fingerprinted): string {
  if (info.narSize <= 0) throw formatError(`fingerprint of \`${info.path}\``, 'the NAR size is not known');
  return `1;${info.path};${renderHash(info.narHash)};${info.narSize};${[...info.references].sort().join(',')}`;
}

/** `<key name>:<base 64>`, a detached ed25519 signature of the path's fingerprint. */
export function signPath(info: Fingerprinted, key: SigningKey): string {
  return signText(fingerprint(info), key);
}

/**
 * `<key name>:<base 64>` of any text. A text must begin so that it cannot be one of another kind: fingerprints of paths begin
 * with `1;`.
 */
export function signText(text: string, key: SigningKey): string {
  return `${key.name}:${toBase64(sign(null, Buffer.from(text), key.privateKey))}`;
}

export type SignatureVerdict =
  /** Signed by a trusted key. */
  | { readonly state: 'valid'; readonly keyName: string }
  /** Carries the name of a trusted key, which did not sign this. */
  | { readonly state: 'invalid'; readonly keyName: string }
  /** No signature carries the name of a trusted key. */
  | { readonly state: 'unsigned' };

/**
 * Looks for a signature by one of the trusted keys, by key name. One valid signature suffices; a key's name may be given
 * twice with different keys (a key that was replaced).
 */
export function verifyPath(info: PathInfo, trustedKeys: readonly PublicKey[]): SignatureVerdict {
  return verifyText(fingerprint(info), info.signatures, trustedKeys);
}

/** The same for the signatures of any text. */
export function verifyText(
  text: string,
  signatures: readonly string[],
  trustedKeys: readonly PublicKey[],
): SignatureVerdict {
  let failed: string | undefined;
  for (const signature of signatures) {
    const named = trustedKeys.filter(({ name }) => name === signatureKeyName(signature));
    const [signer] = signersOf(text, [signature], named);
    if (signer) return { state: 'valid', keyName: signer.name };
    failed = named[0]?.name ?? failed;
  }
  return failed === undefined ? { state: 'unsigned' } : { state: 'invalid', keyName: failed };
}

/** Those of the keys that signed a text. */
export function signersOf(
  text: string,
  signatures: readonly string[],
  keys: readonly PublicKey[],
): readonly PublicKey[] {
  const message = Buffer.from(text);
  return keys.filter(({ name, key }) =>
    signatures.some((signed) => {
      if (signatureKeyName(signed) !== name) return false;
      const { signature } = splitSignature(signed);
      return signature !== undefined && verify(null, message, key, signature);
    }),
  );
}

/** The name of the key that a signature says it was made with. */
export function signatureKeyName(signature: string): string {
  return signature.slice(0, Math.max(signature.indexOf(':'), 0));
}

/** Whether a signature of the path says that it was made with a key of one of these names. */
export function isSignedByOneOf({ signatures }: PathInfo, names: readonly string[]): boolean {
  return names.length > 0 && signatures.some((signature) => names.includes(signatureKeyName(signature)));
}

function splitSignature(text: string): { keyName: string; signature?: Uint8Array } {
  const keyName = signatureKeyName(text);
  const base64 = text.slice(text.indexOf(':') + 1);
  const signature = Buffer.from(base64, 'base64');
  const canonical = signature.length === SIGNATURE_SIZE && toBase64(signature) === base64;
  return canonical ? { keyName, signature } : { keyName };
}
