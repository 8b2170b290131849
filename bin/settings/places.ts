/**
 * Where a command reads and writes, as it was said. What was meant otherwise is refused before anything is made
 * there.
 */

import { parseCacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import { checkPath } from '../arguments/checked-path.js';
import { SETTINGS, type Setting, singleValue } from './settings.js';

/** The cache that a setting names; throws where it names none. `option` is the command's own, where it has another. */
export function requireCache(
  setting: Setting,
  key: 'to' | 'from' = 'to',
  option: string = SETTINGS[key].option,
): string {
  const [url] = cachesOf({ ...setting, values: setting.values.slice(-1) });
  if (url !== undefined) return url;
  const { env } = SETTINGS[key];
  throw new CarportError('E_USAGE', 'it is not said which cache', {
    hint: `give \`${option} s3://bucket?endpoint=…\` or \`${option} file:///path/of/cache\`, or set ${env}`,
  });
}

/** All caches that a setting names. An error tells where the setting is from. */
export function cachesOf({ values, origin }: Setting): readonly string[] {
  for (const url of values) {
    try {
      parseCacheUrl(url);
    } catch (error) {
      if (!(error instanceof CarportError)) throw error;
      const { code, message, hint, cause, stack } = error;
      throw Object.assign(new CarportError(code, `${message} (${origin})`, { cause, ...(hint && { hint }) }), {
        stack,
      });
    }
  }
  return values;
}

/** Nix's names for its stores, which would be directories here. */
const NIX_STORES = ['daemon', 'auto'];

/** The store that is named, if one is: `nix`, or the root of carport's own. */
export function storeOf(setting: Setting): string | undefined {
  const text = singleValue(setting);
  if (text === undefined) return undefined;
  if (NIX_STORES.includes(text)) {
    throw new CarportError('E_USAGE', `\`${text}\` (${setting.origin}) is a name of Nix for its store`, {
      hint: `write \`nix\`; a directory of that name is \`./${text}\``,
    });
  }
  return checkPath(text, setting.origin);
}
