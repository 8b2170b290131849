#!/usr/bin/env node
/**
 * The program as it is installed, `dist/bundle/carport.js`: a script of CommonJS, since Node takes 7 ms more to begin with a module. Runs
 * the scripts that `tools/bundle.ts` made of the modules, or these where the compiler has written some since, of which it leaves a note.
 */

import { loadBundled } from '../lib/workers/bundled/script.js';

type Start = typeof import('./start.js');
type Main = typeof import('./main.js');

const bundled = loadBundled(
  new URL('../bundle/start.js', import.meta.url),
  new URL('../.tsbuildinfo', import.meta.url),
);

/** By a name that the bundler does not see: it would put the module in here. */
const load = (name: string): Promise<unknown> => import(new URL(`../bin/${name}.js`, import.meta.url).href);

async function run(): Promise<void> {
  const { start } = (bundled?.exports ?? (await load('start'))) as Start;
  await start(process.argv.slice(2), () => load('main') as Promise<Main>);
}

run();
