/** The parser of the time when a pin expires. */

import { parseTime } from '../../cache/pins/time.js';
import { CarportError } from '../../lib/errors.js';
import { durationOf } from '../settings/parsers.js';

const START_OF_DAY = '00:00:00';

/** The time, as pins have it, of `90d`, `12h` or `6w` from now, of `2027-01-01` or of `2027-01-01T12:00:00Z`. */
export function expiry(text: string, place: string): string {
  const now = Date.now();
  const span = durationOf(text);
  const time = span === undefined ? parseTime(text, START_OF_DAY) : now + span;
  if (time !== undefined && time > now) return new Date(time).toISOString();
  const fault = time === undefined ? 'that is no time' : 'that is past';
  throw new CarportError('E_USAGE', `\`${place} ${text}\`: ${fault}`, {
    hint: 'use a span such as `90d`, `12h` or `6w`, a day such as `2027-01-31`, or a time such as `2027-01-31T12:00:00Z`',
  });
}
