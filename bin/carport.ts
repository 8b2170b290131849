#!/usr/bin/env node
/** The program: a process for one command line. It imports nothing: Node takes longer for a module than for what is in it. */

const { createRequire } = process.getBuiltinModule('node:module');
const { statSync } = process.getBuiltinModule('node:fs');

const DIRECTORY = new URL('../', import.meta.url);

/** What starts the program, put together; `undefined` where it is not, or the compiler has written modules since. */
function bundled(): typeof import('./start.js') | undefined {
  const start = new URL('bundle/start.js', DIRECTORY);
  const [made, compiled] = [start, new URL('.tsbuildinfo', DIRECTORY)].map((file) =>
    statSync(file, { throwIfNoEntry: false }),
  );
  if (!made || (compiled && compiled.mtimeMs > made.mtimeMs)) return undefined;
  return createRequire(import.meta.url)('../bundle/start.js') as typeof import('./start.js');
}

const { start } = bundled() ?? (await import('./start.js'));
await start(process.argv.slice(2), () => import('./main.js'));
