/** Arguments and environment of this process, with bytes that are not UTF-8. */

import { readFile } from 'node:fs/promises';
import { CarportError } from '../../lib/errors.js';
import { isRaw, rawText } from '../../lib/raw-text.js';

/** What Node puts in the place of bytes that are not UTF-8. */
const LOST = '\ufffd';

/** The last arguments of this process, with the bytes that Node has lost. */
export async function rawArguments(words: readonly string[]): Promise<readonly string[]> {
  const lost = words.findIndex((word) => word.includes(LOST));
  if (lost < 0) return words;
  const all = await entriesOf('/proc/self/cmdline');
  const raw = all.slice(-words.length);
  if (raw.length === words.length && words.every((word, index) => word.includes(LOST) || word === raw[index])) {
    return raw;
  }
  throw new CarportError('E_UNSUPPORTED', `argument ${lost + 1} of the command may not be UTF-8: \`${words[lost]}\``, {
    cause: new Error('`/proc/self/cmdline` does not tell its bytes'),
    hint: 'mount `/proc`, or have a script in UTF-8 make the argument',
  });
}

/** The environment of this process, with the bytes that Node has lost, and the variables whose names were lost with them. */
export async function rawEnvironment(env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  const result = { ...env };
  const entries = await entriesOf('/proc/self/environ');
  if (entries.length === 0) checkNothingLost(env);
  for (const entry of entries) {
    const [, name, value] = (isRaw(entry) && /^([^=]+)=([\s\S]*)$/.exec(entry)) || [];
    if (name === undefined || value === undefined) continue;
    // The first of a name counts, and one that was set since.
    const isLost = isRaw(name) ? !(name in result) : result[name]?.includes(LOST);
    if (isLost) result[name] = value;
  }
  return result;
}

function checkNothingLost(env: NodeJS.ProcessEnv): void {
  const lost = Object.keys(env).find((name) => (name + env[name]).includes(LOST));
  if (lost === undefined) return;
  throw new CarportError('E_UNSUPPORTED', `the variable \`${lost}\` may not be UTF-8`, {
    cause: new Error('`/proc/self/environ` does not tell its bytes'),
    hint: `mount \`/proc\`, or \`unset ${lost}\``,
  });
}

async function entriesOf(file: string): Promise<readonly string[]> {
  const bytes = await readFile(file).catch(() => new Uint8Array());
  // Each ends with a zero byte.
  return rawText(bytes).split('\0').slice(0, -1);
}
