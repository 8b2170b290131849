#!/usr/bin/env node
/** The program: a process for one command line. */

import * as nodeModule from 'node:module';
import { loadBundle, tuneEngine } from './bundle.js';
import { quickAnswer } from './help/quick.js';

const args = process.argv.slice(2);
const { env, stdin, stdout, stderr } = process;
const context = { env, stdin, stdout, stderr, cwd: () => process.cwd() };

const answer = await quickAnswer(args);
if (answer === undefined) await (await load()).main(args, context);
// Who reads may have had enough.
else stdout.on('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && explain(error)).write(answer);

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
