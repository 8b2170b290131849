#!/usr/bin/env node
/**
 * The program in a checkout: as it is installed (`installed.ts`), or its modules where it was not put together. Imports nothing: Node
 * takes longer for a module than for what is in it.
 */

const { createRequire } = process.getBuiltinModule('node:module');
const load = createRequire(import.meta.url);

/** What `tools/bundle.ts` makes. */
const INSTALLED = '../bundle/carport.js';

function isBundled(): boolean {
  try {
    return load.resolve(INSTALLED) !== '';
  } catch {
    return false;
  }
}

if (isBundled()) load(INSTALLED);
else await (await import('./start.js')).start(process.argv.slice(2), () => import('./main.js'));
