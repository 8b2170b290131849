/** The command `push`: finds the paths that its arguments mean, and pushes their closure. */

import { openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import { resolvePaths } from '../arguments/paths.js';
import type { Context } from '../cli/context.js';
import { type ClosureOptions, closureOf, closureWarnings } from '../closure/select.js';
import { withReporter } from '../reporters/transfer.js';
import { storeOf } from '../settings/places.js';
import { type PushOptions, preparePush, pushPrepared } from './request.js';

/** Options of the command `push`. */
export interface PushCommandOptions extends PushOptions, ClosureOptions {}

export async function run(targets: readonly string[], options: PushCommandOptions, context: Context): Promise<void> {
  const prepared = await preparePush(options, context);
  const selection = storeOf(prepared.settings.store);
  const store = await openStoreForReading(selection, context.env);
  const own = openOwnForReading(selection, context.env);
  await withReporter(context, options, async (emit) => {
    const closure = await closureOf(options, store, await resolvePaths(targets, store, context));
    for (const warning of closureWarnings(closure, options)) emit(warning);
    await pushPrepared(prepared, { store, own, closure }, { options, context, emit });
  });
}
