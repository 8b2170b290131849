/** Rows of options that commands share which read pins, or set one. */

import { flag, option } from '../declaration/options.js';
import { integer } from '../settings/parsers.js';
import { expiry } from './expiry.js';

/** For commands that take what was signed elsewhere. */
export const ALLOW_UNSIGNED = flag(
  '--allow-unsigned',
  'take paths that no trusted key has signed; a wrong signature is refused all the same',
);

/** Options of commands that read pins. */
export const PIN_READ_OPTIONS = [
  ALLOW_UNSIGNED,
  flag('--allow-rollback', 'take a pin that is older than one that was seen before'),
  flag('--allow-expired', 'take a pin that has expired'),
];

const DEFAULT_HISTORY = '30';
const MAX_HISTORY = 1000;

/** Options of commands that set a pin. */
export const PIN_WRITE_OPTIONS = [
  option('--expires <when>', 'the pin is refused from then on: `90d`, `12h`, a day or a time', { parse: expiry }),
  option('--keep-history <number>', 'previous values that the pin keeps', {
    parse: integer(0, MAX_HISTORY),
    default: DEFAULT_HISTORY,
  }),
  flag('--discard-history', 'begin anew instead of carrying on with the pin that is there'),
  flag('--allow-rollback', 'carry on with a pin that is older than one that was seen before: the cache was restored'),
];
