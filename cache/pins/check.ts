import { CarportError } from '../../lib/errors.js';
import type { PublicKey } from '../../lib/signing/key.js';
import { signatureKeyName, signersOf, verifyText } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { ObjectStore } from '../object-store/object-store.js';
import { type Pin, pinMessage } from './pin.js';
import type { SeenPins } from './seen.js';

/** Which pins are accepted. */
export interface PinPolicy extends TrustPolicy {
  /** Take a pin that is older than one that was seen before. */
  readonly allowRollback: boolean;
  readonly allowExpired: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
}

export type PinVerdict =
  /** `signers` are the trusted keys that signed it; none where unsigned pins are accepted. */
  | { readonly state: 'good'; readonly signers: readonly PublicKey[] }
  /** It is another pin, under this name. */
  | { readonly state: 'renamed' }
  /** Carries the name of a trusted key, which did not sign this. */
  | { readonly state: 'wrong-signature'; readonly keyName: string }
  /** No trusted key signed it. */
  | { readonly state: 'untrusted' }
  | { readonly state: 'older'; readonly newest: string }
  | { readonly state: 'expired'; readonly expiresAt: string };

/** Whether a pin is the one of that name, signed by a trusted key, not older than one that was seen, and not expired. */
export async function judgePin(pin: Pin, name: string, policy: PinPolicy, seen: SeenPins): Promise<PinVerdict> {
  if (pin.name !== name) return { state: 'renamed' };
  const message = pinMessage(pin);
  const verdict = verifyText(message, pin.signatures, policy.keys);
  if (verdict.state === 'invalid') return { state: 'wrong-signature', keyName: verdict.keyName };
  if (verdict.state === 'unsigned' && !policy.allowUnsigned) return { state: 'untrusted' };
  const signers = signersOf(message, pin.signatures, policy.keys);
  const newest = await seen.newest(name, signers);
  if (newest !== undefined && pin.updatedAt < newest && !policy.allowRollback) return { state: 'older', newest };
  const { expiresAt } = pin;
  if (expiresAt !== null && Date.parse(expiresAt) <= policy.now && !policy.allowExpired) {
    return { state: 'expired', expiresAt };
  }
  return { state: 'good', signers };
}

/** The same, but throws unless the pin is good. Gives the trusted keys that signed it. */
export async function checkPin(
  pin: Pin,
  name: string,
  objects: Pick<ObjectStore, 'url'>,
  policy: PinPolicy,
  seen: SeenPins,
): Promise<readonly PublicKey[]> {
  const verdict = await judgePin(pin, name, policy, seen);
  if (verdict.state === 'good') return verdict.signers;
  throw refusal(verdict, pin, `the pin \`${name}\` in \`${objects.url}\``);
}

function refusal(verdict: Exclude<PinVerdict, { state: 'good' }>, pin: Pin, what: string): CarportError {
  switch (verdict.state) {
    case 'renamed':
      return new CarportError('E_INTEGRITY', `${what} is the pin \`${pin.name}\` under another name`, {
        hint: 'somebody has moved it: the cache was tampered with',
      });
    case 'wrong-signature':
      return new CarportError('E_SIGNATURE', `the signature of ${what} by \`${verdict.keyName}\` is wrong`, {
        cause: new Error('what the pin says is not what was signed'),
        hint: 'the cache was tampered with, or the trusted key of that name is another one',
      });
    case 'untrusted': {
      const names = pin.signatures.map(signatureKeyName).map((keyName) => `\`${keyName}\``);
      return new CarportError('E_SIGNATURE', `${what} is not signed by a trusted key`, {
        cause: new Error(names.length > 0 ? `it is signed by ${names.join(', ')}` : 'it has no signature'),
        hint: 'trust a key with `--trusted-key NAME:BASE64`, or take what nobody vouches for with `--allow-unsigned`',
      });
    }
    case 'older':
      return new CarportError('E_INTEGRITY', `${what} is older than the one that was seen before`, {
        cause: new Error(`it was written on ${pin.updatedAt}, and one of ${verdict.newest} was seen`),
        hint: 'somebody serves what was replaced; if you know why, take it with `--allow-rollback`',
      });
    case 'expired':
      return new CarportError('E_INTEGRITY', `${what} expired on ${verdict.expiresAt}`, {
        hint: 'ask for it to be set again; if the old one will do, take it with `--allow-expired`',
      });
  }
}
