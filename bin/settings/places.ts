/** Where a command reads and writes, as it was said. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import type { Setting, Settings } from './setting.js';
import { SETTINGS } from './table.js';

/**
 * The cache that a setting names; throws `E_USAGE` where it names none. `key` is the setting that the error tells of, and
 * `option` the command's own, where it has another.
 */
export function requireCache(
  { value }: Setting<CacheUrl | undefined>,
  key: 'to' | 'from' = 'to',
  option: string = SETTINGS[key].option,
): CacheUrl {
  if (value !== undefined) return value;
  const { env } = SETTINGS[key];
  throw new CarportError('E_USAGE', 'it is not said which cache', {
    hint: `give \`${option} s3://bucket?endpoint=…\` or \`${option} file:///path/of/cache\`, or set ${env}`,
  });
}

/** The cache that a command reads: the first to pull from, else the one to push to. Throws `E_USAGE` where there is neither. */
export function requireSource({ from, to }: Pick<Settings, 'from' | 'to'>): CacheUrl {
  return from.value[0] ?? requireCache(to, 'from');
}
