/** What options of pins mean: which pins are accepted, and what a new one is to be. */

import { join } from 'node:path';
import type { PinPolicy } from '../../cache/pins/check.js';
import { openSeenPins, type SeenPins } from '../../cache/pins/seen.js';
import type { PinRequest } from '../../cache/pins/set.js';
import { parseTime } from '../../cache/pins/time.js';
import { CarportError } from '../../lib/errors.js';
import { stateDirectory } from '../../lib/state-directory.js';
import type { Context } from '../cli/context.js';
import { spanOf } from '../settings/duration.js';
import { parseTrustedKeys } from '../settings/keys.js';
import type { Settings } from '../settings/settings.js';
import type { PinReadOptions, PinWriteOptions } from './options.js';

/** Which pins are accepted. */
export function pinPolicyOf(settings: Settings, options: PinReadOptions): PinPolicy {
  const { allowUnsigned, allowRollback, allowExpired } = options;
  return {
    keys: parseTrustedKeys(settings['trusted-keys']),
    allowUnsigned: allowUnsigned === true,
    allowRollback: allowRollback === true,
    allowExpired: allowExpired === true,
    now: Date.now,
  };
}

/** What this user has seen of pins. */
export function seenPinsOf({ env }: Context): SeenPins {
  return openSeenPins(join(stateDirectory(env), 'pins'));
}

export function pinRequestOf(name: string, { expires, keepHistory, discardHistory }: PinWriteOptions): PinRequest {
  const expiresAt = expires === undefined ? null : parseExpiry(expires, Date.now());
  return { name, expiresAt, keep: keepHistory, discardHistory: discardHistory === true };
}

const START_OF_DAY = '00:00:00';

/** `90d`, `12h`, `6w`, `2027-01-01` or `2027-01-01T12:00:00Z` as a time. */
function parseExpiry(text: string, now: number): string {
  const span = spanOf(text);
  const time = span === undefined ? parseTime(text, START_OF_DAY) : now + span;
  if (time !== undefined && time > now) return new Date(time).toISOString();
  throw new CarportError(
    'E_USAGE',
    `\`--expires ${text}\`: ${time === undefined ? 'that is no time' : 'that is past'}`,
    {
      hint: 'use a span such as `90d`, `12h` or `6w`, a day such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`',
    },
  );
}
