/** The next pin, signed. */

import { randomBytes } from 'node:crypto';
import { CarportError, hasCode } from '../../lib/errors.js';
import { encodeNix32 } from '../../lib/nix/base32.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { renderDocument, signDocument } from '../../lib/signing/document.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { isSigned, judgeAge, judgeOrigin, type PinPolicy, refusalError } from './check.js';
import { renewPinListQuietly } from './list.js';
import { notSignedBy } from './paths.js';
import { isPinName, PIN, PIN_LIMITS, type Pin, type PinValue, toPin, toValue } from './pin.js';
import { readPin, writePin } from './pins.js';
import type { SeenPins } from './seen.js';

/** What a pin is to stand for. */
export interface PinRequest {
  readonly name: string;
  readonly expiresAt: string | null;
  /** Previous values that are kept, at most. */
  readonly keep: number;
  /** Begin anew instead of carrying on with the pin that is there, which then may be anything. */
  readonly discardHistory: boolean;
}

export interface PinSigning {
  /** At least one. */
  readonly keys: readonly SecretKey[];
  /** Of whoever sets the pin: its keys may have signed the pin that is there, besides `keys`. */
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  /** Told of what readers that trust a new key alone cannot pull. */
  readonly emit?: Emit<WarningEvent>;
}

/**
 * The pin that is there and that a new one carries on. It must be signed by a key that signs now or is trusted: its
 * history is signed again. Ask before a long push, so that nothing is done in vain.
 */
export async function previousPin(
  objects: ObjectStore,
  { name, discardHistory }: PinRequest,
  { keys, policy, seen }: PinSigning,
): Promise<Pin | undefined> {
  try {
    const pin = await readPin(objects, name);
    if (pin === undefined) return undefined;
    const known = { ...withOwnKeys(policy, keys), allowExpired: true };
    const refusal = judgeOrigin(pin, name, known) ?? (await judgeAge(pin, objects.url, known, seen));
    if (refusal) throw refusalError(refusal, pin, name, objects.url);
    return pin;
  } catch (cause) {
    if (!hasCode(cause, 'E_INTEGRITY', 'E_SIGNATURE')) throw cause;
    if (discardHistory) return undefined;
    throw new CarportError(cause.code, `the pin \`${name}\` is there, and its history cannot be carried on`, {
      cause,
      hint: `${HINTS[cause.code] ?? 'find out who changed it'}; \`--discard-history\` begins anew`,
    });
  }
}

const HINTS: Partial<Record<string, string>> = {
  E_SIGNATURE: 'sign with the key that signed it, or trust that: `--trusted-key`, or CARPORT_TRUSTED_KEYS',
};

/**
 * Makes a name stand for store paths, which the cache must have, signed by each of the keys: else who trusts one alone could
 * take the pin and not what it stands for. Gives the pin that is now there.
 */
export async function setPin(
  objects: ObjectStore,
  value: Omit<PinValue, 'since'>,
  request: PinRequest,
  signing: PinSigning,
): Promise<Pin> {
  const { name, expiresAt, keep, discardHistory } = request;
  checkSize(name, value);
  const previous = await previousPin(objects, request, signing);
  const { keys, policy, seen } = signing;
  const id = previous?.id ?? encodeNix32(randomBytes(20));
  // Later than what is there and what was seen, whatever this machine's clock says: readers refuse what is older.
  const before = [previous?.updatedAt, await seen.newest({ id, name }, objects.url)];
  const times = before.map((time) => (time === undefined ? 0 : Date.parse(time) + 1));
  const updatedAt = new Date(Math.max(policy.now(), ...times)).toISOString();
  const carried = discardHistory ? undefined : previous;
  const same = carried !== undefined && isSame(carried, value);
  const history = carried ? [...(same ? [] : [toValue(carried)]), ...carried.history] : [];
  const { storePaths, derivations } = value;
  const unsigned = {
    name,
    id,
    updatedAt,
    expiresAt,
    since: same ? carried.since : updatedAt,
    storePaths,
    derivations,
    history: history.slice(0, keep),
  };
  const document = signDocument(PIN, unsigned, keys);
  if (renderDocument(PIN, document).length > PIN_LIMITS.bytes) throw tooLarge(name);
  const pin = toPin(document);
  const message = previous && signing.emit && (await historyWarning(objects, pin, previous, keys));
  await writePin(objects, pin);
  if (message) signing.emit?.({ type: 'warning', message });
  await renewPinListQuietly(objects, keys, { added: [name] }, signing.emit);
  await seen.note(pin, objects.url).catch(() => undefined);
  return pin;
}

/** A key that signs the line for the first time has perhaps not signed what the name stood for before. */
async function historyWarning(
  objects: ObjectStore,
  { name, history }: Pin,
  previous: Pin,
  keys: readonly SecretKey[],
): Promise<string | undefined> {
  const newKeys = keys.filter(({ publicKey }) => !isSigned(previous, { keys: [publicKey], allowUnsigned: false }));
  if (newKeys.length === 0) return undefined;
  const values = await notSignedBy(objects, history, newKeys);
  if (values.length === 0) return undefined;
  const names = newKeys.map((key) => `\`${key.name}\``).join(' or ');
  return `who trusts ${names} alone cannot pull ${values.length} of the values that \`${name}\` stood for before; \`carport pin set OTHER ${name}@previous\` with the same keys signs one`;
}

/** The keys, of which there must be one: readers refuse a pin that nobody signed. */
export function requirePinKeys(name: string, keys: readonly SecretKey[]): readonly SecretKey[] {
  if (keys.length > 0) return keys;
  throw new CarportError('E_CREDENTIALS', `the pin \`${name}\` cannot be signed: no key is given`, {
    hint: 'give `--secret-key FILE`; `carport key generate NAME --out FILE` makes one. Readers refuse unsigned pins',
  });
}

/** Throws unless a pin may have this name. */
export function checkPinName(name: string): void {
  if (isPinName(name)) return;
  throw new CarportError('E_USAGE', `\`${name}\` cannot be the name of a pin`, {
    hint: 'use letters, digits, `.`, `_`, `+` and `-`, at most 100, a letter or digit first, and nothing that looks like a store path',
  });
}

/** Throws when a pin is for too many paths. */
export function checkSize(name: string, { storePaths, derivations }: Omit<PinValue, 'since'>): void {
  if (Math.max(storePaths.length, derivations.length) > PIN_LIMITS.paths) throw tooLarge(name);
}

function tooLarge(name: string): CarportError {
  return new CarportError('E_USAGE', `the pin \`${name}\` would be too large`, {
    hint: `a pin is for at most ${PIN_LIMITS.paths} paths: pin the one that refers to them; \`--keep-history\` makes its history shorter`,
  });
}

function isSame(a: Omit<PinValue, 'since'>, b: Omit<PinValue, 'since'>): boolean {
  return JSON.stringify([a.storePaths, a.derivations]) === JSON.stringify([b.storePaths, b.derivations]);
}
