/** Whether two halves are a key pair, by a module that is loaded late. */

import { isErrno } from './errors.js';

/**
 * Whether the public key of a seed is the other half, all in base 64 for URLs. Node's module of cryptography is loaded by the
 * first question: most runs ask none, and it takes longer than all else at the start. As a JWK a key is made ten times as
 * fast as of DER. Node works out `x` itself, or, from 24 on, refuses another. True where that cannot be known: who asks wants to hide keys.
 */
export function isKeyPair(seed: string, publicKey: string): boolean {
  const { createPrivateKey } = process.getBuiltinModule('node:crypto');
  const key = { kty: 'OKP', crv: 'Ed25519', d: seed, x: publicKey };
  try {
    return createPrivateKey({ key, format: 'jwk' }).export({ format: 'jwk' }).x === publicKey;
  } catch (error) {
    return !isErrno(error, 'ERR_CRYPTO_INVALID_JWK');
  }
}
