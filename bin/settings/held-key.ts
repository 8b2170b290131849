/** Secret keys that come without a file of their own: in a variable, on stdin, through a descriptor. */

import { constants, createReadStream, fstat, type Stats } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
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
    // Only what passes is closed: Node ends when what it works with is gone.
    await requireGiven(descriptor);
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

/** Throws where a descriptor is not open, or is Node's own: no file, or a pipe of which this process has the other end, too. */
async function requireGiven(descriptor: number): Promise<void> {
  const stats = await promisify(fstat)(descriptor);
  const isOfUser = stats.isFile() || stats.isSocket() || (descriptor === 0 && stats.isCharacterDevice());
  if (isOfUser || (stats.isFIFO() && !(await isWrittenHere(stats)))) return;
  throw new Error('it is not open for reading a key');
}

/** Whether a descriptor of this process writes into a pipe: then it never ends. */
async function isWrittenHere({ dev, ino }: Stats): Promise<boolean> {
  for (const name of await readdir('/proc/self/fd').catch(() => [])) {
    const stats = await stat(`/proc/self/fd/${name}`).catch(() => undefined);
    if (stats === undefined || stats.ino !== ino || stats.dev !== dev) continue;
    const info = await readFile(`/proc/self/fdinfo/${name}`, 'latin1').catch(() => '');
    const flags = Number.parseInt(/^flags:\s*([0-7]+)$/m.exec(info)?.[1] ?? '0', 8);
    if ((flags & O_ACCMODE) !== constants.O_RDONLY) return true;
  }
  return false;
}

const O_ACCMODE = constants.O_RDONLY | constants.O_WRONLY | constants.O_RDWR;
