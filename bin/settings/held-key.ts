/** Secret keys that come without a file of their own: in a variable, on stdin, through a descriptor. */

import { createReadStream } from 'node:fs';
import { CarportError } from '../../lib/errors.js';

/** The variable that holds a key itself. */
export const KEY_VARIABLE = 'CARPORT_SECRET_KEY';

/** Keys that a variable holds. Only `read` gives them away. */
export interface HeldKeys {
  readonly variable: string;
  /** The texts of the keys. */
  read(): readonly string[];
}

/** Where a secret key is: the name of a file, or of a descriptor; or keys that are here already. */
export type SecretKeySource = string | HeldKeys;

/** An environment without the keys in it, for all that is done with it, and these. Without one, it is the same environment. */
export function takeKeys(env: NodeJS.ProcessEnv): { readonly env: NodeJS.ProcessEnv; readonly held?: HeldKeys } {
  const { [KEY_VARIABLE]: text, ...rest } = env;
  if (text === undefined) return { env };
  const texts = text.split(/\s+/).filter((part) => part !== '');
  // CI systems give a secret that a build may not see as an empty variable.
  return texts.length === 0 ? { env: rest } : { env: rest, held: { variable: KEY_VARIABLE, read: () => texts } };
}

/** The descriptor that text names: `-`, `fd:3`, `/dev/fd/3`; `undefined` for the name of a file. */
export function descriptorOf(text: string): number | undefined {
  if (text === '-' || text === '/dev/stdin') return 0;
  const [, digits] = /^(?:fd:|\/dev\/fd\/|\/proc\/self\/fd\/)(\d{1,6})$/.exec(text) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** A key is a line; whatever is larger is not a key, and is not read into memory. */
const MAX_SIZE = 64 * 1024;

/** Reads a key from a descriptor, and closes it, so that programs that are started do not have it. Throws `E_CREDENTIALS`. */
export async function readDescriptor(descriptor: number, name: string): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of createReadStream('', { fd: descriptor, autoClose: descriptor > 2 })) {
      size += (piece as Buffer).length;
      if (size > MAX_SIZE)
        throw new CarportError('E_CREDENTIALS', `what comes from \`${name}\` is too large to be a key`);
      pieces.push(piece as Buffer);
    }
  } catch (cause) {
    if (cause instanceof CarportError) throw cause;
    throw new CarportError('E_CREDENTIALS', `the secret key cannot be read from \`${name}\``, {
      cause,
      hint:
        descriptor === 0
          ? 'give the key on stdin: `carport … --secret-key - < cache.sec`'
          : `open the descriptor: \`carport … --secret-key ${name} ${descriptor}< cache.sec\``,
    });
  }
  return Buffer.concat(pieces).toString('utf8');
}
