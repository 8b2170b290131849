import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import type { ObjectStore } from '../object-store/object-store.js';
import { checkPin, type PinPolicy } from './check.js';
import type { Pin, PinValue } from './pin.js';
import { readPin } from './pins.js';
import { type PinReference, selectValue } from './reference.js';
import type { SeenPins } from './seen.js';

export interface FoundPin {
  readonly pin: Pin;
  /** What was asked for of it. */
  readonly value: PinValue;
  /** The cache that has it. */
  readonly objects: ObjectStore;
}

/**
 * What a reference means: of the pins of that name in all caches the newest that is acceptable, so that a mirror that
 * lags behind does no harm. `undefined` when no cache has one. What was accepted is noted in `seen`.
 */
export async function findPin(
  caches: readonly ObjectStore[],
  reference: PinReference,
  policy: PinPolicy,
  seen: SeenPins,
  emit: Emit,
): Promise<FoundPin | undefined> {
  const { name } = reference;
  const answers = await Promise.allSettled(
    caches.map(async (objects) => {
      const pin = await readPin(objects, name);
      return pin && { pin, objects, signers: await checkPin(pin, name, objects, policy, seen) };
    }),
  );
  const refusals = answers.filter((answer) => answer.status === 'rejected').map(({ reason }) => reason as unknown);
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' && answer.value ? [answer.value] : []));
  const [newest] = found.sort((a, b) => (a.pin.updatedAt < b.pin.updatedAt ? 1 : -1));
  for (const refusal of refusals) {
    if (newest === undefined || !(refusal instanceof CarportError)) throw refusal;
    emit({ type: 'warning', message: `${refusal.message}; taking the pin of \`${newest.objects.url}\`` });
  }
  if (newest === undefined) return undefined;
  const { pin, objects, signers } = newest;
  const value = selectValue(pin, reference);
  await seen.note(name, signers, pin.updatedAt).catch((cause: unknown) => {
    const message = `it cannot be noted how new \`${name}\` is, so an older one will not be noticed: ${messageOf(cause)}`;
    emit({ type: 'warning', message });
  });
  return { pin, value, objects };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
