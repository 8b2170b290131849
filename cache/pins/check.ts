/** Whether to believe a pin. */

import { CarportError } from '../../lib/errors.js';
import { documentKey, judgeStored } from '../../lib/object-store/documents.js';
import { type DocumentDoubt, verifyDocument } from '../../lib/signing/document.js';
import { signatureKeyName } from '../../lib/signing/signature.js';
import { type TrustPolicy, untrustedError } from '../../lib/signing/trust.js';
import type { ReaderTrust } from '../keys/follow.js';
import { PINS } from '../layout.js';
import { PIN, PIN_PLACE, type Pin, toDocument } from './pin.js';
import type { SeenPins } from './seen.js';

/** Which pins are accepted. */
export interface PinPolicy extends ReaderTrust {
  /** Take a pin that is older than one that was seen before. */
  readonly allowRollback: boolean;
  readonly allowExpired: boolean;
  /** Milliseconds since 1970. */
  now(): number;
}

/** Why a pin is not taken: its document is doubted, or its time has passed. */
export type PinRefusal =
  | DocumentDoubt
  /** A newer one was seen, of this time. */
  | { readonly kind: 'older'; readonly newest: string }
  | { readonly kind: 'expired'; readonly expiresAt: string };

/** Why it was not somebody who may that has made this pin, for this name; `undefined` when it was. */
export function judgeOrigin(pin: Pin, name: string, policy: TrustPolicy): DocumentDoubt | undefined {
  return judgeStored(PIN_PLACE, documentKey(PINS, name), toDocument(pin), policy);
}

/** Whether a trusted key has signed it. */
export function isSigned(pin: Pin, { keys }: TrustPolicy): boolean {
  return verifyDocument(PIN, toDocument(pin), keys).state === 'valid';
}

/** Whether nothing newer than a pin was seen, of its line or in this cache, and it has not expired. */
export async function judgeAge(
  pin: Pin,
  cache: string,
  policy: PinPolicy,
  seen: SeenPins,
): Promise<PinRefusal | undefined> {
  const newest = await seen.newest(pin, cache);
  if (newest !== undefined && pin.updatedAt < newest && !policy.allowRollback) return { kind: 'older', newest };
  const { expiresAt } = pin;
  if (expiresAt !== null && Date.parse(expiresAt) <= policy.now() && !policy.allowExpired) {
    return { kind: 'expired', expiresAt };
  }
  return undefined;
}

/** A refusal as an error; `url` is the cache that has the pin. */
export function refusalError(refusal: PinRefusal, pin: Pin, name: string, url: string): CarportError {
  const what = `the pin \`${name}\` in \`${url}\``;
  switch (refusal.kind) {
    case 'damaged':
      return damagedPin(name, url, refusal.cause);
    case 'misplaced':
      return new CarportError('E_INTEGRITY', `${what} is the pin \`${pin.name}\` under another name`, {
        hint: 'somebody has moved it: the cache was tampered with',
      });
    case 'wrong-signature':
      return new CarportError('E_SIGNATURE', `the signature of ${what} by \`${refusal.keyName}\` is wrong`, {
        cause: new Error('what the pin says is not what was signed'),
        hint: 'the cache was tampered with, or the trusted key of that name is another one',
      });
    case 'unsigned':
    case 'stranger':
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

/** The error of a pin that cannot be read. */
export function damagedPin(name: string, url: string, cause: Error): CarportError {
  return new CarportError('E_INTEGRITY', `the pin \`${name}\` in \`${url}\` is damaged`, {
    cause,
    hint: `a newer carport may have written it; if not, whoever may write there can set it anew: \`carport pin set ${name} … --discard-history\``,
  });
}
