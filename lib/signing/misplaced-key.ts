/** The refusal of a key where its file belongs. */

import { CarportError } from '../errors.js';

/** The refusal of a key that was given where its file belongs, or anything else. `where` is the option, variable or file. */
export function misplacedKey(where: string): CarportError {
  return new CarportError('E_CREDENTIALS', `${where} holds a key itself, and not the name of its file`, {
    hint: 'give the file: `--secret-key FILE`, or the key in the variable `CARPORT_SECRET_KEY`, where no command line has it. Others see command lines, variables and logs: take a secret key that was there for leaked, and make another with `carport key generate NAME --out FILE`',
  });
}
