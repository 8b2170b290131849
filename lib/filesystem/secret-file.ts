/** Files that only their owner may read. */

import { lstat, open, readFile, stat } from 'node:fs/promises';
import { CarportError, isErrno } from '../errors.js';

/** A key is a line; whatever is larger is not a key, and is not read into memory. */
const MAX_SIZE = 64 * 1024;

/** Permissions of group and others. */
const NOT_OWNER = 0o077;

/** Reads a file with a secret. Refuses one that others can read, as ssh does. Errors name the file, never its content. */
export async function readSecretFile(path: string): Promise<string> {
  try {
    const stats = await stat(path);
    const { mode, size } = stats;
    if (!stats.isFile())
      throw new CarportError('E_CREDENTIALS', `\`${path}\` is not a file`, { hint: 'name the key file itself' });
    if ((mode & NOT_OWNER) !== 0) {
      throw new CarportError('E_CREDENTIALS', `the secret file \`${path}\` can be read by others`, {
        cause: new Error(`its mode is ${(mode & 0o777).toString(8).padStart(4, '0')}`),
        hint:
          stats.uid === process.getuid?.() && !/^\/(etc|usr|proc|sys|dev|boot|bin|lib)\//.test(path)
            ? `chmod 600 ${path}`
            : 'name a key file of your own, which only you can read',
      });
    }
    if (size > MAX_SIZE) throw new CarportError('E_CREDENTIALS', `\`${path}\` is too large to be a key`);
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof CarportError) throw error;
    const hint = isErrno(error, 'ENOENT')
      ? 'check the path; `carport key generate NAME --out FILE` makes a key'
      : 'check the permissions of the file and its directories';
    throw new CarportError('E_CREDENTIALS', `the secret file \`${path}\` cannot be read`, { cause: error, hint });
  }
}

/** Makes a file that only its owner can read. Never overwrites. */
export async function createSecretFile(path: string, content: string): Promise<void> {
  if (await lstat(path).catch(() => undefined)) {
    throw new CarportError('E_USAGE', `\`${path}\` is there already`, {
      hint: 'a key is never overwritten: give another `--out`, or move the file away',
    });
  }
  const file = await open(path, 'wx', 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}
