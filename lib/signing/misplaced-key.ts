/** The refusal of a key where its file belongs. */

import { CarportError } from '../errors.js';

/** The refusal of a key that was given where its file belongs, or anything else. `where` is the option, variable or file. */
export function misplacedKey(where: string): CarportError {
  return new CarportError('E_CREDENTIALS', `${where} holds a key itself, and not the name of its file`, {
    hint: 'give the file: `--secret-key FILE`; where CI has the key in a variable, write it first: `(umask 077; printf "%s\\n" "$KEY" > key.sec)`. Others see command lines, variables and logs: take a secret key that was there for leaked, and make another with `carport key generate NAME --out FILE`',
  });
}
