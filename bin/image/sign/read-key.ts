/** Keys of images, from where the command line says: a file, or a variable. */

import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type ImageKey, type ImagePublicKey, readImageKey, readImagePublicKey } from '../../../image/sign/key.js';
import { CarportError } from '../../../lib/errors.js';
import { rememberSecret } from '../../../lib/known-secrets.js';
import { type Context, workingDirectory } from '../../cli/context.js';

/** A key is some lines; whatever is larger is not a key, and is not read into memory. */
const MAX_SIZE = 64 * 1024;

/** Reads the secret key that an option names. */
export async function secretImageKey(text: string, context: Context, option = '--key'): Promise<ImageKey> {
  const { COSIGN_PASSWORD: password } = context.env;
  rememberSecret(password);
  const pem = await textOf(text, context, option);
  rememberSecret(pem);
  return readImageKey(pem, `\`${text}\` (${option})`, () => password);
}

/** Reads the public keys that options name. */
export async function publicImageKeys(texts: readonly string[], context: Context): Promise<readonly ImagePublicKey[]> {
  return Promise.all(texts.map(async (text) => readImagePublicKey(await textOf(text, context), `\`${text}\` (--key)`)));
}

async function textOf(text: string, context: Context, option = '--key'): Promise<string> {
  const variable = /^env:\/\/(.+)$/.exec(text)?.[1];
  if (variable !== undefined) {
    const value = context.env[variable];
    if (value) return value;
    throw new CarportError('E_CREDENTIALS', `there is no variable \`${variable}\` (${option})`, {
      hint: 'CI systems give no secrets to builds of pull requests',
    });
  }
  try {
    const file = await open(resolve(workingDirectory(context), text));
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_SIZE), 0, MAX_SIZE, 0);
      return buffer.subarray(0, bytesRead).toString('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new CarportError('E_CREDENTIALS', `the key \`${text}\` (${option}) cannot be read`, {
      cause,
      hint: 'check the path; `env://NAME` is the variable `NAME`',
    });
  }
}
