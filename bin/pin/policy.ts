/** What options of pins mean: which pins are accepted, and what a new one is to be. */

import { join } from 'node:path';
import { createFollowing } from '../../cache/keys/follow.js';
import type { PinPolicy } from '../../cache/pins/check.js';
import { openSeenPins, openSeenTimes, type SeenPins, type SeenTimes } from '../../cache/pins/seen.js';
import type { PinRequest } from '../../cache/pins/set.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { Context } from '../cli/context.js';
import type { OptionsOf } from '../declaration/options.js';
import type { Settings } from '../settings/setting.js';
import type { PIN_READ_OPTIONS, PIN_WRITE_OPTIONS } from './options.js';

/** What options say of the pins that are accepted; what is not said is not allowed. */
export type PinReadOptions = Partial<Omit<OptionsOf<typeof PIN_READ_OPTIONS>, 'settings'>>;

/** What options say of a pin that is set. */
export type PinWriteOptions = Omit<OptionsOf<typeof PIN_WRITE_OPTIONS>, 'settings'>;

/** Which pins are accepted. */
export function pinPolicyOf(settings: Pick<Settings, 'trusted-keys'>, options: PinReadOptions): PinPolicy {
  const { allowUnsigned = false, allowRollback = false, allowExpired = false } = options;
  return { keys: settings['trusted-keys'].value, allowUnsigned, allowRollback, allowExpired, now: Date.now };
}

/** The same, and of each cache also what the successors of trusted keys sign there. */
export function followingPolicyOf(policy: PinPolicy, { env }: Context): PinPolicy {
  return { ...policy, following: createFollowing({ keys: policy.keys, seen: seenKeysOf(env), now: policy.now }) };
}

/** How new the statements of keys were that this user has seen. */
export function seenKeysOf(env: NodeJS.ProcessEnv): SeenTimes {
  return openSeenTimes(join(stateDirectory(env), 'keys'));
}

/** What this user has seen of pins. */
export function seenPinsOf({ env }: Context): SeenPins {
  return openSeenPins(join(stateDirectory(env), 'pins'));
}

/** The pin of a name that options ask for. */
export function pinRequestOf(name: string, { expires, keepHistory, discardHistory }: PinWriteOptions): PinRequest {
  return { name, expiresAt: expires ?? null, keep: keepHistory, discardHistory };
}
