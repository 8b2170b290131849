/** Where a command reads and writes, as it was said. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import type { Setting, Settings } from './setting.js';
import { SETTINGS } from './table.js';

/** The cache that a setting names; throws `E_USAGE` where it names none. `key` is the setting that the error tells of. */
export function requireCache(
  { value }: Setting<CacheUrl | undefined>,
  key: 'cache' | 'to' | 'from' = 'cache',
): CacheUrl {
  if (value !== undefined) return value;
  const { env, option } = SETTINGS[key === 'to' ? 'to' : 'cache'];
  const more = key === 'from' ? '; one that is only read is `--from file:///path/of/cache`, too, or CARPORT_FROM' : '';
  throw new CarportError('E_USAGE', 'it is not said which cache', {
    hint: `give \`${option} s3://bucket?endpoint=…\` or \`${option} file:///path/of/cache\`, or set ${env}${more}`,
  });
}

/** The caches that a command reads: those to pull from, else the one to push to. Throws `E_USAGE` where there is neither. */
export function requireSources({ from, to }: Pick<Settings, 'from' | 'to'>): readonly CacheUrl[] {
  const isNamed = to.origin.kind === 'option' && from.origin.kind !== 'option';
  return from.value.length > 0 && !isNamed ? from.value : [requireCache(to, 'from')];
}

/** The first of them. */
export function requireSource(settings: Pick<Settings, 'from' | 'to'>): CacheUrl {
  return requireSources(settings)[0]!;
}
