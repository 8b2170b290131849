#!/usr/bin/env node
/**
 * The program as it is installed, `dist/bundle/carport.js`: a script of CommonJS, since Node takes 7 ms more to begin with a module. Runs
 * the scripts that `tools/bundle.ts` made of the modules, or these where the compiler has written some since, of which it leaves a note.
 */

import { loadBundled } from '../lib/workers/bundled/script.js';

type Start = typeof import('./start.js');

const DIRECTORY = new URL('../', import.meta.url);

const bundled = loadBundled(new URL('bundle/start.js', DIRECTORY), new URL('.tsbuildinfo', DIRECTORY));

async function run(): Promise<void> {
  const { start } = (bundled?.exports ?? (await import('./start.js'))) as Start;
  await start(process.argv.slice(2), () => import('./main.js'));
}

run();
