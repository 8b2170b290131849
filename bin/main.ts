/** The program behind what is answered at once. */

import { type Context, outputError, watchOutput } from './cli/context.js';
import { reportError } from './cli/error-output.js';
import { runCommandLine } from './program.js';
import { isDevice } from './push/ahead.js';
import { KEY_VARIABLE } from './settings/held-key.js';

/** Runs a command line in this process, and sets its exit code. */
export async function main(args: readonly string[], context: Context): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) watchOutput(stream);
  const env = { ...context.env };
  // Neither threads nor programs that are started get it.
  delete process.env[KEY_VARIABLE];
  const isStdoutDevice = await isDevice(1);
  process.exitCode = await runCommandLine(args, { ...context, env, isStdoutDevice });
  // Work that an interrupt could not stop would keep the process.
  if (process.exitCode === 130) process.exit();
}

/** Says that stdout could not be written. */
export function explain(cause: Error, context: Context): void {
  process.exitCode = reportError(outputError(cause), context, false, 0);
}
