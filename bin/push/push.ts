/** The command `push`: finds the paths that its arguments mean, and pushes their closure. */

import { openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import { resolvePaths } from '../arguments/paths.js';
import type { Context } from '../cli/context.js';
import { closureOf, closureWarnings } from '../closure/select.js';
import { withReporter } from '../reporters/transfer.js';
import type { PushCommandOptions } from './command.js';
import { preparePush, pushPrepared } from './request.js';

/** Pushes the closure of the paths that arguments mean, and prints it. */
export async function run(targets: readonly string[], options: PushCommandOptions, context: Context): Promise<void> {
  const prepared = await preparePush(options, context);
  const selection = options.settings.store.value;
  const store = await openStoreForReading(selection, context.env);
  const own = openOwnForReading(selection, context.env);
  await withReporter(context, options, async (emit) => {
    const closure = await closureOf(options, store, await resolvePaths(targets, store, context));
    for (const warning of closureWarnings(closure, options)) emit(warning);
    await pushPrepared(prepared, { store, own, closure }, { options, context, emit });
  });
}
