/** The command `push`: finds the paths that its arguments mean, and pushes their closure. */

import type { PushEvent } from '../../cache/push/events.js';
import { CarportError } from '../../lib/errors.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import { openLocalPaths, resolveLocalPaths } from '../arguments/local-paths.js';
import { plainStorePaths } from '../arguments/paths.js';
import type { Context } from '../cli/context.js';
import { closureOf, closureWarnings } from '../closure/select.js';
import { beginGroup } from '../reporters/ci-log.js';
import { withReporter } from '../reporters/transfer.js';
import { descriptorOf } from '../settings/held-key.js';
import { endsAtRoots } from './at-roots.js';
import type { PushCommandOptions } from './command.js';
import { isWithoutKey } from './keys.js';
import { preparePush } from './prepare.js';
import { pushPrepared, startThreadsEarly } from './request.js';

/** Pushes the closure of the paths that arguments mean, and prints it. */
export async function run(targets: readonly string[], options: PushCommandOptions, context: Context): Promise<void> {
  refuseStdinTwice(targets, options);
  const prepared = await preparePush(options, context);
  if (isWithoutKey(prepared.request.keys, options, context)) return;
  if (await endsAtRoots(targets, prepared, options, context)) return;
  const threads = await startThreadsEarly(prepared);
  const push = withReporter(context, options, async (emit) => {
    const here = await openLocalPaths(options.settings, context, asked(targets, options));
    const { store, own } = here;
    const closure = await closureOf(options, store, await resolveLocalPaths(targets, here, context));
    for (const warning of closureWarnings(closure, options)) emit(warning);
    const group = beginGroup(context, options, 'carport push');
    const tell = (event: PushEvent) => {
      if (event.type === 'summary') group.end();
      emit(event);
    };
    const run = { options, context, emit: tell, skipsUpstream: options.skipUpstream && options.closure !== 'build' };
    try {
      await pushPrepared(prepared, { store, own, closure }, run, threads);
    } finally {
      group.end();
    }
  });
  // Also where the closure is not there.
  await push.finally(() => threads?.close());
}

/** What reads the key takes all of it. */
function refuseStdinTwice(targets: readonly string[], { settings }: PushCommandOptions): void {
  const fromStdin = ({ value }: (typeof settings)['secret-key-files']) =>
    value.some((source) => typeof source === 'string' && descriptorOf(source) === 0);
  if (!targets.includes('-') || !fromStdin(settings['secret-key-files'])) return;
  throw new CarportError('E_USAGE', 'stdin cannot be both the list of paths and the secret key', {
    hint: 'give the key in the variable `CARPORT_SECRET_KEY`, or through a descriptor: `--secret-key fd:3 3< cache.sec`',
  });
}

/** What the store will surely be asked for the closure of. */
function asked(targets: readonly string[], { closure }: PushCommandOptions): readonly string[] {
  const paths = closure === 'build' ? [] : plainStorePaths(targets);
  // A derivation is asked for in a way of its own.
  return paths.some(isDerivationPath) ? [] : paths;
}
