#!/usr/bin/env node
/** The program: a process for one command line. It imports nothing: Node takes longer for a module than for what is in it. */

type Loader = typeof import('../lib/workers/bundled/script.js');

const DIRECTORY = new URL('../', import.meta.url);

/** What loads the scripts that the program was put together as; `undefined` where it was not. */
function loader(): Loader | undefined {
  const { createRequire } = process.getBuiltinModule('node:module');
  try {
    return createRequire(import.meta.url)('../bundle/script.js') as Loader;
  } catch {
    return undefined;
  }
}

// The compiler leaves a note of having written modules since.
const bundled = loader()?.loadBundled(new URL('bundle/start.js', DIRECTORY), new URL('.tsbuildinfo', DIRECTORY));
const { start } = (bundled?.exports ?? (await import('./start.js'))) as typeof import('./start.js');
await start(process.argv.slice(2), () => import('./main.js'));
