/** Keys among arguments and settings. */

import { looksLikeKey } from '../../lib/signing/likely-key.js';
import { misplacedKey } from '../../lib/signing/misplaced-key.js';
import { hasSecretKey } from '../../lib/signing/secret-form.js';
import { SETTINGS, type Setting, type SettingKey, type Settings } from './settings.js';

/** No command takes a secret key as an argument: refused before anything is made of it. */
export function refuseKeysIn(args: readonly string[]): void {
  const at = args.findIndex((arg) => hasSecretKey(arg) || hasSecretKey(arg.replace(/\s+/g, '')));
  if (at >= 0) throw misplacedKey(placeOf(args, at));
}

/** Throws where a setting holds a secret key, wherever it is from. */
export function refuseKeysInSettings(settings: Settings): void {
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const setting = settings[key];
    if (holdsKey(key, setting)) throw misplacedKey(originOf(key, setting));
  }
}

/** Whether a setting holds a key, or, where files are named, what looks like one. White space has cut the values of a variable. */
export function holdsKey(key: SettingKey, { values }: Setting): boolean {
  const forms = [...values, values.join('')];
  return forms.some(key === 'secret-key-files' ? looksLikeKey : hasSecretKey);
}

/** `--option`, a variable, or a setting in a file. */
export function originOf(key: SettingKey, { origin }: Setting): string {
  return origin.includes('/') ? `\`${key}\` in \`${origin}\`` : `\`${origin}\``;
}

function placeOf(args: readonly string[], at: number): string {
  const own = /^(--[a-z-]+)=/.exec(args[at]!)?.[1];
  const before = /^--?[a-z-]+$/.exec(args[at - 1] ?? '')?.[0];
  if (own ?? before) return `\`${own ?? before}\``;
  return `argument ${at + 1} of the command line`;
}
