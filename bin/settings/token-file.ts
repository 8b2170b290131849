/** Tokens, passwords and secrets that come from a file or a descriptor, never from the command line. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { type Context, workingDirectory } from '../cli/context.js';
import { descriptorOf, readDescriptor } from './held-key.js';

/** The text of a file, or of what `-` and `fd:N` name; `optionName` is where it is given. Throws `E_CREDENTIALS`. */
export async function readToken(file: string, optionName: string, context: Context): Promise<string> {
  const descriptor = descriptorOf(file);
  if (descriptor !== undefined) return readDescriptor(descriptor, file);
  try {
    return await readFile(resolve(workingDirectory(context), file), 'utf8');
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `\`${file}\` (${optionName}) cannot be read`, {
      cause,
      hint: 'name the file with the token, password or secret',
    });
  }
}
