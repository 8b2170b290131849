/** Whether to believe a pin. */

import { CarportError } from '../../lib/errors.js';
import { signatureKeyName, verifyText } from '../../lib/signing/signature.js';
import { type TrustPolicy, untrustedError } from '../../lib/signing/trust.js';
import { type Pin, pinMessage } from './pin.js';
import type { SeenPins } from './seen.js';

/** Which pins are accepted. */
export interface PinPolicy extends TrustPolicy {
  /** Take a pin that is older than one that was seen before. */
  readonly allowRollback: boolean;
  readonly allowExpired: boolean;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Why a pin is not taken. */
export type PinRefusal =
  /** It is another pin, under this name. */
  | { readonly state: 'renamed' }
  /** Carries the name of a trusted key, which did not sign this. */
  | { readonly state: 'wrong-signature'; readonly keyName: string }
  /** No trusted key signed it. */
  | { readonly state: 'untrusted' }
  | { readonly state: 'older'; readonly newest: string }
  | { readonly state: 'expired'; readonly expiresAt: string };

/** Whether somebody who may has made this pin, for this name. */
export function judgeOrigin(pin: Pin, name: string, policy: TrustPolicy): PinRefusal | undefined {
  if (pin.name !== name) return { state: 'renamed' };
  const verdict = verifyText(pinMessage(pin), pin.signatures, policy.keys);
  if (verdict.state === 'invalid') return { state: 'wrong-signature', keyName: verdict.keyName };
  if (verdict.state === 'unsigned' && !policy.allowUnsigned) return { state: 'untrusted' };
  return undefined;
}

/** Whether a trusted key has signed it. */
export function isSigned(pin: Pin, { keys }: TrustPolicy): boolean {
  return verifyText(pinMessage(pin), pin.signatures, keys).state === 'valid';
}

/** Whether nothing newer than a pin was seen, of its line or in this cache, and it has not expired. */
export async function judgeAge(
  pin: Pin,
  cache: string,
  policy: PinPolicy,
  seen: SeenPins,
): Promise<PinRefusal | undefined> {
  const newest = await seen.newest(pin, cache);
  if (newest !== undefined && pin.updatedAt < newest && !policy.allowRollback) return { state: 'older', newest };
  const { expiresAt } = pin;
  if (expiresAt !== null && Date.parse(expiresAt) <= policy.now() && !policy.allowExpired) {
    return { state: 'expired', expiresAt };
  }
  return undefined;
}

/** A refusal as an error; `url` is the cache that has the pin. */
export function refusalError(refusal: PinRefusal, pin: Pin, name: string, url: string): CarportError {
  const what = `the pin \`${name}\` in \`${url}\``;
  switch (refusal.state) {
    case 'renamed':
      return new CarportError('E_INTEGRITY', `${what} is the pin \`${pin.name}\` under another name`, {
        hint: 'somebody has moved it: the cache was tampered with',
      });
    case 'wrong-signature':
      return new CarportError('E_SIGNATURE', `the signature of ${what} by \`${refusal.keyName}\` is wrong`, {
        cause: new Error('what the pin says is not what was signed'),
        hint: 'the cache was tampered with, or the trusted key of that name is another one',
      });
    case 'untrusted':
      return untrustedError(
        what,
        pin.signatures.filter((signature) => signatureKeyName(signature) !== ''),
      );
    case 'older':
      return new CarportError('E_INTEGRITY', `${what} is older than the one that was seen before`, {
        cause: new Error(`it was written on ${pin.updatedAt}, and one of ${refusal.newest} was seen`),
        hint: 'somebody serves what was replaced, or the cache was restored: if you know why, take it with `--allow-rollback`',
      });
    case 'expired':
      return new CarportError('E_INTEGRITY', `${what} expired on ${refusal.expiresAt}`, {
        hint: 'ask for it to be set again; if the old one will do, take it with `--allow-expired`',
      });
  }
}
