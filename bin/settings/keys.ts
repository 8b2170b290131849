/** Keys of settings. */

import { CarportError } from '../../lib/errors.js';
import { readSecretFile } from '../../lib/filesystem/secret-file.js';
import { type PublicKey, parsePublicKey, parseSecretKey, type SecretKey } from '../../lib/signing/key.js';
import { looksLikeKey, mayBeKey } from '../../lib/signing/likely-key.js';
import { misplacedKey } from '../../lib/signing/misplaced-key.js';
import type { Setting } from './settings.js';

/** Reads the keys to sign with. */
export async function loadSecretKeys(files: readonly string[]): Promise<readonly SecretKey[]> {
  const keys = await Promise.all([...new Set(files)].map(loadSecretKey));
  const names = keys.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return keys;
  throw new CarportError('E_CREDENTIALS', `two secret keys have the name \`${twice}\``, {
    hint: 'readers look a key up by its name: give each key its own',
  });
}

export async function loadSecretKey(file: string): Promise<SecretKey> {
  if (looksLikeKey(file)) throw misplacedKey('the name of the secret key file');
  const text = await readSecretFile(file).catch((error) => {
    // Without its name, or in part, a key looks like a name of a file.
    throw file.split(/\s+/).some(mayBeKey) ? misplacedKey('the name of the secret key file') : error;
  });
  try {
    return parseSecretKey(text);
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `\`${file}\` is not a secret key file`, {
      cause,
      hint: 'it should hold one line, `NAME:BASE64`, as `carport key generate NAME --out FILE` makes it',
    });
  }
}

export function parseTrustedKeys({ values, origin }: Setting): readonly PublicKey[] {
  return values.map((text) => {
    try {
      return parsePublicKey(text);
    } catch (cause) {
      throw new CarportError('E_USAGE', `a trusted key (${origin}) is not \`NAME:BASE64\``, {
        cause,
        hint: 'give the key and not a file of it: `"$(cat cache.pub)"`; `carport key public SECRET-KEY-FILE` prints it, too',
      });
    }
  });
}
