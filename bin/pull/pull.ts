/** The command `pull`: pulls what its arguments mean, and prints the closure. */

import { type Context, writeLines } from '../cli/context.js';
import type { PullOptions } from './command.js';
import { pullArguments } from './request.js';

/** Pulls what the arguments mean, and prints the closure; with `--json` the events say it all. */
export async function run(targets: readonly string[], options: PullOptions, context: Context): Promise<void> {
  const storePaths = await pullArguments(targets, options, context);
  if (!options.json) await writeLines(context.stdout, storePaths);
}
