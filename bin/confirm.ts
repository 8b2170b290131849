import { createInterface } from 'node:readline/promises';
import { CarportError } from '../lib/errors.js';
import type { Context } from './context.js';

/** Goes on only when a person at a terminal types the name of what will be gone. */
export async function confirmByName(name: string, context: Context): Promise<void> {
  if (!('isTTY' in context.stdin && context.stdin.isTTY) || !context.stderr.isTTY) {
    throw new CarportError('E_USAGE', `this removes \`${name}\` for good, and there is no terminal to ask at`, {
      hint: 'look with `--dry-run` first; `--yes` does it without asking',
    });
  }
  const lines = createInterface({ input: context.stdin, output: context.stderr });
  try {
    const answer = await lines.question(`This cannot be undone. Type \`${name}\` to remove it: `);
    if (answer.trim() === name) return;
  } finally {
    lines.close();
  }
  throw new CarportError('E_USAGE', `that is not \`${name}\`: nothing was removed`);
}
