/** Whether a pin stands for something else than what somebody has of it. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { PinPolicy } from './check.js';
import { findPin } from './find.js';
import type { PinReference } from './reference.js';
import type { SeenPins } from './seen.js';

/** What of a pin is here: its paths. */
export interface KnownValue {
  readonly reference: PinReference;
  readonly storePaths: readonly string[];
}

/** How what is here stands to what the pin is now. */
export type Newer =
  | { readonly state: 'current' }
  /** Since when the pin stands for other paths, and for which. */
  | { readonly state: 'outdated'; readonly now: string; readonly storePaths: readonly string[] }
  /** No cache has the pin any more. */
  | { readonly state: 'gone' }
  /** It cannot be told: a cache does not answer, or what it has is refused. */
  | { readonly state: 'unknown'; readonly error: CarportError };

/** Asks caches for a pin, which is believed as by a pull. */
export async function lookForNewer(
  { reference, storePaths }: KnownValue,
  caches: readonly ObjectStore[],
  { policy, seen, emit }: { readonly policy: PinPolicy; readonly seen: SeenPins; readonly emit: Emit<WarningEvent> },
): Promise<Newer> {
  try {
    const found = await findPin(caches, reference, policy, seen, emit);
    if (found === undefined) return { state: 'gone' };
    const { value } = found;
    if (value.storePaths.join() === storePaths.join()) return { state: 'current' };
    return { state: 'outdated', now: value.since, storePaths: value.storePaths };
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    return { state: 'unknown', error };
  }
}
