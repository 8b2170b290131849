/** The command `pull`: pulls what its arguments mean, and prints the closure. */

import { settingsOf } from '../cli/command.js';
import { type Context, writeLines } from '../cli/context.js';
import { type PullOptions, pullArguments } from './request.js';

export async function run(targets: readonly string[], options: PullOptions, context: Context): Promise<void> {
  const settings = await settingsOf({ ...options }, context);
  const storePaths = await pullArguments(targets, settings, options, context);
  if (!options.json) await writeLines(context.stdout, storePaths);
}
