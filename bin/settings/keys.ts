/** Reads the keys that settings name or hold. */

import { CarportError } from '../../lib/errors.js';
import { readSecretFile } from '../../lib/filesystem/secret-file.js';
import {
  type PublicKey,
  parsePublicKey,
  parseSecretKey,
  renderPublicKey,
  type SecretKey,
} from '../../lib/signing/key.js';
import { looksLikeKey, mayBeKey } from '../../lib/signing/likely-key.js';
import { type MinisignKey, parseMinisignKey } from '../../lib/signing/minisign.js';
import { misplacedKey } from '../../lib/signing/misplaced-key.js';
import { descriptorOf, type HeldKeys, readDescriptor, type SecretKeySource } from './held-key.js';

/** Reads the keys to sign with from where they are. Throws `E_CREDENTIALS` where two of them have one name. */
export async function loadSecretKeys(sources: readonly SecretKeySource[]): Promise<readonly SecretKey[]> {
  const load = async (source: SecretKeySource) =>
    typeof source === 'string' ? [await loadSecretKey(source)] : parseHeldKeys(source);
  const all = (await Promise.all([...new Set(sources)].map(load))).flat();
  // One key may be in a variable, and its file in the URL of the cache.
  const keys = [...new Map(all.map((key) => [renderPublicKey(key.publicKey), key])).values()];
  const names = keys.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined) return keys;
  throw new CarportError('E_CREDENTIALS', `two secret keys have the name \`${twice}\``, {
    hint: 'readers look a key up by its name: give each key its own',
  });
}

function parseHeldKeys({ variable, read }: HeldKeys): readonly SecretKey[] {
  try {
    return read().map(parseSecretKey);
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `\`${variable}\` does not hold a secret key`, {
      cause,
      hint: 'it should be the line of a secret key file, `NAME:BASE64`; `CARPORT_SECRET_KEY_FILES` is for the name of the file',
    });
  }
}

/** Reads the secret key in a file, or from a descriptor. Throws `E_CREDENTIALS` for a file that is none, and where a key is given for its name. */
export async function loadSecretKey(file: string): Promise<SecretKey> {
  if (looksLikeKey(file)) throw misplacedKey('the name of the secret key file');
  const descriptor = descriptorOf(file);
  const text = await (descriptor === undefined ? readSecretFile(file) : readDescriptor(descriptor, file)).catch(
    (error) => {
      // Without its name, or in part, a key looks like a name of a file.
      throw file.split(/\s+/).some(mayBeKey) ? misplacedKey('the name of the secret key file') : error;
    },
  );
  try {
    return parseSecretKey(text);
  } catch (cause) {
    throw new CarportError(
      'E_CREDENTIALS',
      `\`${file}\` is not a secret key${descriptor === undefined ? ' file' : ''}`,
      {
        cause,
        hint: 'it should hold one line, `NAME:BASE64`, as `carport key generate NAME --out FILE` makes it',
      },
    );
  }
}

/** Parses a key that is trusted; `place` is where it is from. Throws `E_USAGE` without the text, which may be a secret one. */
export function publicKey(text: string, place: string): PublicKey {
  try {
    return parsePublicKey(text);
  } catch (cause) {
    throw new CarportError('E_USAGE', `a trusted key (${place}) is not \`NAME:BASE64\``, {
      cause,
      hint: 'give the key and not a file of it: `"$(cat cache.pub)"`; `carport key public SECRET-KEY-FILE` prints it, too',
    });
  }
}

/** Parses a public key of minisign; `place` is where it is from. Throws `E_USAGE` without the text. */
export function minisignPublicKey(text: string, place: string): MinisignKey {
  try {
    return parseMinisignKey(text);
  } catch (cause) {
    throw new CarportError('E_USAGE', `a key of \`${place}\` is not a public key of minisign`, {
      cause,
      hint: 'give the second line of its public key file, which begins with `RW`, or `"$(cat minisign.pub)"`',
    });
  }
}
