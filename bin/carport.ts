#!/usr/bin/env node
/** The program in a checkout: as it is installed (`installed.ts`), or its modules where it was not put together. Imports nothing: Node takes longer for a module than for what is in it. */

const { createRequire } = process.getBuiltinModule('node:module');
const require = createRequire(import.meta.url);

/** Whether there is what `tools/bundle.ts` makes. */
function isBundled(): boolean {
  try {
    return require.resolve('../bundle/carport.js') !== undefined;
  } catch {
    return false;
  }
}

if (isBundled()) require('../bundle/carport.js');
else await (await import('./start.js')).start(process.argv.slice(2), () => import('./main.js'));
