/** Asks at a terminal before something is done that a person has to mean. */

import { createInterface } from 'node:readline';
import { CarportError } from '../../lib/errors.js';
import type { Setting } from '../settings/setting.js';
import type { Context } from './context.js';
import { printableLine } from './printable.js';
import { redactWords } from './redact.js';

/** What is asked, and what is said where there is no answer. */
export interface Question {
  readonly question: string;
  /** What a person types who means it. */
  readonly answer: string;
  /** What has become of it when something else was typed: `nothing was removed`. */
  readonly otherwise: string;
  readonly noTerminal: string;
  readonly hint: string;
}

/** Goes on only when a person at a terminal types the name of what will be gone. */
export function confirmByName(name: string, context: Context): Promise<void> {
  const question = {
    question: `This cannot be undone. Type \`${name}\` to remove it: `,
    answer: name,
    otherwise: 'nothing was removed',
    noTerminal: `this removes \`${name}\` for good, and there is no terminal to ask at`,
    hint: 'look with `--dry-run` first; `--yes` does it without asking',
  };
  return confirm(question, context);
}

/** Goes on only when a person at a terminal types the answer. */
export async function confirm(
  { question, answer, otherwise, noTerminal, hint }: Question,
  context: Context,
): Promise<void> {
  if (!isTerminal(context)) {
    throw new CarportError('E_USAGE', noTerminal, { hint });
  }
  const typed = await ask(question, otherwise, context);
  if (typed?.trim() !== answer) throw new CarportError('E_USAGE', `that is not \`${answer}\`: ${otherwise}`);
}

/**
 * Asks a person at a terminal whether to go on. Elsewhere it goes on: for commands that never asked, which scripts run.
 * `what` says what will be gone, or changed, and `otherwise` what has become of it when somebody does not want that.
 */
export async function confirmAtTerminal(
  what: string,
  context: Context,
  otherwise = 'nothing was removed',
): Promise<void> {
  if (!isTerminal(context)) return;
  const answer = await ask(`${what} Go on? [y/N] `, otherwise, context);
  if (/^y(es)?$/i.test(answer?.trim() ?? '')) return;
  throw new CarportError('E_USAGE', `not confirmed: ${otherwise}`, { hint: '`--yes` does it without asking' });
}

/**
 * Before something of a cache goes that a project's file chose, and nobody else: somebody else may have written that. At a
 * terminal a person is asked, elsewhere it is refused. Tells whether somebody was asked.
 */
export async function confirmProjectCache(
  { origin, texts }: Setting<unknown>,
  { yes }: { readonly yes: boolean },
  context: Context,
): Promise<boolean> {
  if (!origin.isProject || yes) return false;
  const cache = redactWords(printableLine(`\`${texts.at(-1)}\``));
  const file = printableLine(`\`${origin.name}\``);
  if (isTerminal(context)) {
    await confirmAtTerminal(`This removes things of ${cache}, the cache of ${file}.`, context);
    return true;
  }
  throw new CarportError('E_USAGE', `this removes things of ${cache}, which only ${file} names`, {
    hint: 'somebody else may have written that file: name the cache, `--cache URL`, or say `--yes`',
  });
}

/** Whether there is somebody to ask. */
export function isTerminal({ stdin, stderr }: Context): boolean {
  return 'isTTY' in stdin && stdin.isTTY === true && stderr.isTTY === true;
}

/** `undefined` when the input ends. Ctrl-C is an interrupt. */
async function ask(question: string, otherwise: string, context: Context): Promise<string | undefined> {
  const lines = createInterface({ input: context.stdin, output: context.stderr });
  try {
    return await new Promise((resolve, reject) => {
      lines.on('SIGINT', () => reject(new CarportError('E_INTERRUPTED', `stopped: ${otherwise}`)));
      lines.on('close', () => resolve(undefined));
      lines.question(question, resolve);
    });
  } finally {
    lines.close();
  }
}
