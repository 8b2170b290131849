/** Asks at a terminal before something is gone. */

import { createInterface } from 'node:readline';
import { CarportError } from '../../lib/errors.js';
import type { Context } from './context.js';

/** Goes on only when a person at a terminal types the name of what will be gone. */
export async function confirmByName(name: string, context: Context): Promise<void> {
  if (!('isTTY' in context.stdin && context.stdin.isTTY) || !context.stderr.isTTY) {
    throw new CarportError('E_USAGE', `this removes \`${name}\` for good, and there is no terminal to ask at`, {
      hint: 'look with `--dry-run` first; `--yes` does it without asking',
    });
  }
  const answer = await ask(`This cannot be undone. Type \`${name}\` to remove it: `, context);
  if (answer?.trim() !== name) throw new CarportError('E_USAGE', `that is not \`${name}\`: nothing was removed`);
}

/** `undefined` when the input ends. Ctrl-C is an interrupt. */
async function ask(question: string, context: Context): Promise<string | undefined> {
  const lines = createInterface({ input: context.stdin, output: context.stderr });
  try {
    return await new Promise((resolve, reject) => {
      lines.on('SIGINT', () => reject(new CarportError('E_INTERRUPTED', 'stopped: nothing was removed')));
      lines.on('close', () => resolve(undefined));
      lines.question(question, resolve);
    });
  } finally {
    lines.close();
  }
}
