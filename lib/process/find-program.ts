/** Programs on a PATH. */

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { rawBytes } from '../raw-text.js';

/** The first program of a name on a PATH; `undefined` when there is none. */
export async function findProgram(name: string, path: string | undefined): Promise<string | undefined> {
  for (const directory of (path ?? '').split(delimiter)) {
    const candidate = join(directory === '' ? '.' : directory, name);
    if (await isProgram(candidate)) return candidate;
  }
  return undefined;
}

export async function isProgram(path: string): Promise<boolean> {
  try {
    const file = rawBytes(path);
    await access(file, constants.X_OK);
    return (await stat(file)).isFile();
  } catch {
    return false;
  }
}
