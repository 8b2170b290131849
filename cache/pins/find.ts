/** What a reference means in several caches. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { trustNow, withSuccessors } from '../keys/follow.js';
import { isSigned, judgeAge, judgeOrigin, type PinPolicy, refusalError } from './check.js';
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
 * What a reference means: of the pins of that name that a trusted key signed the newest, whichever cache has it, so that
 * a mirror that lags behind does no harm. That one must not be older than what was seen, nor expired. `undefined` when
 * no cache has one.
 */
export async function findPin(
  caches: readonly ObjectStore[],
  reference: PinReference,
  policy: PinPolicy,
  seen: SeenPins,
  emit: Emit<WarningEvent>,
): Promise<FoundPin | undefined> {
  const { name } = reference;
  const answers = await Promise.allSettled(caches.map((objects) => readGoodPin(objects, name, policy, emit)));
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' && answer.value ? [answer.value] : []));
  const [newest] = found.sort((a, b) => (a.pin.updatedAt < b.pin.updatedAt ? 1 : -1));
  for (const answer of answers) {
    if (answer.status === 'fulfilled') continue;
    if (newest === undefined || !(answer.reason instanceof CarportError)) throw answer.reason;
    emit({ type: 'warning', message: `${answer.reason.message}; taking the pin of \`${newest.objects.url}\`` });
  }
  if (newest === undefined) return undefined;
  const { pin, objects } = newest;
  const refusal = await judgeAge(pin, objects.url, policy, seen);
  // One that has expired is noted, too: it tells that older ones are not to be taken.
  if (isSigned(pin, trustNow(policy, objects))) await note(pin, objects.url, seen, emit);
  if (refusal) throw refusalError(refusal, pin, name, objects.url);
  return { pin, value: selectValue(pin, reference), objects };
}

/** The pin that a cache has, when somebody who may has made it. */
async function readGoodPin(objects: ObjectStore, name: string, policy: PinPolicy, emit: Emit<WarningEvent>) {
  const pin = await readPin(objects, name);
  if (pin === undefined) return undefined;
  await withSuccessors(policy, objects, emit, (trust) => {
    const refusal = judgeOrigin(pin, name, trust);
    if (refusal) throw refusalError(refusal, pin, name, objects.url);
  });
  return { pin, objects };
}

async function note(pin: Pin, cache: string, seen: SeenPins, emit: Emit<WarningEvent>): Promise<void> {
  try {
    await seen.note(pin, cache);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `it cannot be noted how new \`${pin.name}\` is, so an older one will not be noticed: ${why}`;
    emit({ type: 'warning', message });
  }
}
