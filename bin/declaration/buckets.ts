/** Rows for the cache or bucket that a command works on: one name for it everywhere, and those of before, which go on to work. */

import { CarportError } from '../../lib/errors.js';
import type { SettingKey } from '../settings/table.js';
import { type SettingRow, setting } from './options.js';

/** The settings that name a cache. */
const CACHE_SETTINGS = ['cache', 'to', 'from'] as const satisfies readonly SettingKey[];

/** What a command of `cache` works on. */
export const CACHE = setting('cache');

/** The bucket that a command writes to. */
export const BUCKET = setting('to', { shown: 'cache', hidden: ['to'] });

/** The same where `--to` is something else. */
export const BUCKET_NOT_TO = setting('to', { shown: 'cache' });

/** The bucket that is read. */
export const READ_BUCKET = setting('from', { shown: 'cache', hidden: ['from'] });

/** The same for commands that took the one to push to, too. */
export const SOURCE = [READ_BUCKET, setting('to', { hidden: ['to'] })];

/** Where to push. */
export const PUSH_TO = setting('to', { shown: 'to', hidden: ['cache'] });

/** Where to pull from. */
export const PULL_FROM = setting('from', { shown: 'from', hidden: ['cache'] });

/** Throws `E_USAGE` where a cache is named twice, by two options that mean the same. */
export function refuseTwice(rows: readonly SettingRow[], isGiven: (attribute: string) => boolean): void {
  const options = rows
    .filter(({ key }) => CACHE_SETTINGS.some((each) => each === key))
    .flatMap(({ declared }) => declared);
  const given = options.filter((option) => isGiven(option.attributeName()));
  if (given.length < 2 || given.every(({ hidden }) => !hidden)) return;
  const names = given.map(({ long }) => `\`${long}\``).join(' and ');
  throw new CarportError('E_USAGE', `${names} both name the cache`, { hint: 'give one of them' });
}
