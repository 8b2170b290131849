#!/usr/bin/env node
/** The program: a process for one command line. */

import { quickAnswer } from './help/quick.js';

const args = process.argv.slice(2);
const { env, stdin, stdout, stderr } = process;
const context = { env, stdin, stdout, stderr, cwd: () => process.cwd() };

const answer = await quickAnswer(args);
if (answer === undefined) await run();
// Who reads may have had enough.
else stdout.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && explain(error)).write(answer);

async function run(): Promise<void> {
  const [{ watchOutput }, { runCommandLine }] = await Promise.all([import('./cli/context.js'), import('./program.js')]);
  for (const stream of [stdout, stderr]) watchOutput(stream);
  process.exitCode = await runCommandLine(args, context);
  // Work that an interrupt could not stop would keep the process.
  if (process.exitCode === 130) process.exit();
}

async function explain(cause: Error): Promise<void> {
  const [{ outputError }, { reportError }] = await Promise.all([
    import('./cli/context.js'),
    import('./cli/error-output.js'),
  ]);
  process.exitCode = reportError(outputError(cause), context, false, 0);
}
