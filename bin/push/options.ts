/** Rows of options that commands share which push. */

import { CarportError } from '../../lib/errors.js';
import { PUSH_TO } from '../declaration/buckets.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { PIN_WRITE_OPTIONS } from '../pin/options.js';

/** How and where to push. */
const TO = [PUSH_TO, setting('secret-key-files')];
const HOW = [
  // Whose earlier pins and paths are believed.
  setting('trusted-keys'),
  setting('compression'),
  setting('level'),
  setting('jobs'),
  setting('skip-signed-by'),
  flag('--no-skip-upstream', 'push also what `cache.nixos.org-1` has signed'),
  option('--skip-in <cache>', 'leave out what this cache has; repeatable', {
    repeatable: true,
    parse: async (text: string, place: string) => (await import('../settings/addresses.js')).cacheUrl(text, place),
  }),
  setting('retry-seconds'),
  flag('--no-listing', 'write no `.ls` listings'),
  flag(
    '--allow-unsigned',
    'push without a key; in CI that is refused otherwise, since readers refuse what nobody has signed',
  ),
];

/** Options of commands that push. */
export const PUSH_OPTIONS = [
  ...TO,
  option('--pin <name>', 'then make a name stand for what was pushed, which `pull` and `run` take; repeatable', {
    repeatable: true,
  }),
  ...PIN_WRITE_OPTIONS,
  ...HOW,
  flag('--skip-without-key', 'push nothing where there is no key, as in pull requests: one notice, and exit code 0'),
  flag('--check-all', 'ask the cache for every path and its NAR, and mend what is missing'),
  flag('--dry-run', 'print the plan and what would be uploaded; change nothing'),
];

/** Options of commands that push what others build, as it comes. */
export const PUSH_BESIDE_OPTIONS = [
  ...TO,
  ...HOW,
  flag('--skip-without-key', 'push nothing where there is no key, as in pull requests, and say so'),
  flag('--sources', 'push also what no derivation has made, such as sources that were copied into the store'),
  setting('store'),
];

export type PushBesideOptions = OptionsOf<typeof PUSH_BESIDE_OPTIONS>;

export type PushOptions = OptionsOf<typeof PUSH_OPTIONS>;

/** Throws `E_USAGE` where an option of a pin is given and no pin: it would do nothing. */
export function refusePinOptions(isGiven: (name: string) => boolean): void {
  if (isGiven('pin')) return;
  const given = PIN_WRITE_OPTIONS.find(({ name }) => isGiven(name));
  if (given === undefined) return;
  throw new CarportError('E_USAGE', `\`${given.declared[0]!.long}\` is for a pin, and none is to be set`, {
    hint: 'name the pin, `--pin NAME`, or leave it out',
  });
}
