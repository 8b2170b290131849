/**
 * A push that has nothing to do, as a program of its own: it is put together alone, so that a tenth of carport is read for that. It says
 * nothing before it is done, and whatever it does not foresee is left to the program, which begins anew.
 */

import { Readable, Writable } from 'node:stream';
import { Command } from 'commander';
import type { Context, Output } from '../cli/context.js';
import { rememberSecretsOf } from '../cli/redact.js';
import { descriptorOf, takeKeys } from '../settings/held-key.js';
import { refuseKeysIn } from '../settings/misplaced-keys.js';
import { requireCache } from '../settings/places.js';
import { isDevice } from './ahead.js';
import { endsAtRoots } from './at-roots.js';
import { declarePush, type PushCommandOptions } from './command.js';
import { preparePush } from './prepare.js';

/** What is known before the program is there. */
export type EarlyContext = Omit<Context, 'stdin' | 'stdout' | 'stderr'>;

/** Does a push that has nothing to do; gives what is to be said to people then. `undefined`: nothing was done. */
export async function pushEarly(words: readonly string[], early: EarlyContext): Promise<string | undefined> {
  const said: string[] = [];
  rememberSecretsOf(early.env);
  const { env, held: heldKeys } = takeKeys(early.env);
  const context: Context = { ...early, env, heldKeys, isStdoutDevice: await isDevice(1), ...gatheringIn(said) };
  try {
    refuseKeysIn(words);
    let isDone = false;
    const program = new Command('carport').exitOverride().configureOutput({ writeOut() {}, writeErr() {} });
    declarePush(program.command('push'), context, async (targets, options) => {
      if (!isLaidOpen(options))
        isDone = await endsAtRoots(targets, await preparePush(options, context), options, context);
    });
    await program.parseAsync([...words], { from: 'user' });
    return isDone ? said.join('') : undefined;
  } catch {
    // The program says what is wrong.
    return undefined;
  }
}

/** Whether a key comes through a descriptor, of which it can be read once only; or the cache is no directory. */
function isLaidOpen({ settings }: PushCommandOptions): boolean {
  const { location, secretKeyFiles } = requireCache(settings.to, 'to');
  const sources = [...settings['secret-key-files'].value, ...secretKeyFiles];
  const isRead = (source: (typeof sources)[number]) => typeof source === 'string' && descriptorOf(source) !== undefined;
  return location.kind !== 'file' || sources.some(isRead);
}

/** Output that is kept; there is nothing to read. Data are none of it: a push that prints some is no early one. */
function gatheringIn(said: string[]): Pick<Context, 'stdin' | 'stdout' | 'stderr'> {
  const stderr: Output = new Writable({
    decodeStrings: false,
    write(text: string, _, done) {
      said.push(text);
      done();
    },
  });
  const closed = new Writable({ write: (_text, _encoding, done) => done(new Error('nothing is printed yet')) });
  return { stdin: Readable.from([]), stdout: closed, stderr };
}
