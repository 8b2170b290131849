/** Refuses secret keys among arguments and settings. */

import { looksLikeKey } from '../../lib/signing/likely-key.js';
import { misplacedKey } from '../../lib/signing/misplaced-key.js';
import { hasSecretKey } from '../../lib/signing/secret-form.js';
import type { Origin, Settings } from './setting.js';
import { SETTINGS, type SettingKey } from './table.js';

/** Throws where a secret key is an argument, which no command takes: before anything is made of it. */
export function refuseKeysIn(args: readonly string[]): void {
  const at = args.findIndex((arg) => hasSecretKey(arg) || hasSecretKey(arg.replace(/\s+/g, '')));
  if (at >= 0) throw misplacedKey(placeOf(args, at));
}

/** Throws where a setting holds a secret key, wherever it is from. */
export function refuseKeysInSettings(settings: Settings): void {
  for (const key of Object.keys(SETTINGS) as SettingKey[]) {
    const { texts, origin } = settings[key];
    if (holdsKey(key, texts)) throw misplacedKey(describeOrigin(key, origin));
  }
}

/** Whether the texts of a setting hold a key, or, where files are named, what looks like one. White space has cut those of a variable. */
export function holdsKey(key: SettingKey, texts: readonly string[]): boolean {
  const forms = [...texts, texts.join('')];
  return forms.some(key === 'secret-key-files' ? looksLikeKey : hasSecretKey);
}

/** Names what holds a key: an option, a variable, or a setting in a file. */
export function describeOrigin(key: SettingKey, { kind, name, key: given = key }: Origin): string {
  return kind === 'file' ? `\`${given}\` in \`${name}\`` : `\`${name}\``;
}

function placeOf(args: readonly string[], at: number): string {
  const own = /^(--[a-z-]+)=/.exec(args[at]!)?.[1];
  const before = /^--?[a-z-]+$/.exec(args[at - 1] ?? '')?.[0];
  if (own ?? before) return `\`${own ?? before}\``;
  return `argument ${at + 1} of the command line`;
}
