#!/usr/bin/env node
/** The program: a process for one command line. */

import * as nodeModule from 'node:module';
import { askAhead, loadBundle, tuneEngine } from './bundle.js';
import { quickAnswer } from './help/quick.js';

const args = process.argv.slice(2);
const { env, stdin, stdout, stderr } = process;
const context = { env, stdin, stdout, stderr, cwd: () => process.cwd() };

const answer = await quickAnswer(args);
if (answer === undefined) await run();
// Who reads may have had enough.
else stdout.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && explain(error)).write(answer);

async function run(): Promise<void> {
  const answer = await askAhead(args, env);
  await (await load()).main(args, { ...context, answer });
  // All is written. To end as it comes takes Node some milliseconds more, and would wait for a program that nobody waits for.
  process.exit();
}

async function explain(cause: Error): Promise<void> {
  (await load()).explain(cause, context);
}

async function load(): Promise<typeof import('./main.js')> {
  tuneEngine();
  const bundle = await loadBundle();
  if (bundle) return bundle.exports;
  // Since Node 22.
  if ('enableCompileCache' in nodeModule) (nodeModule.enableCompileCache as () => void)();
  return import('./main.js');
}
