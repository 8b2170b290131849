/** The thread of `code-cache.ts`: a thread of the bundle, which writes what V8 has made of it when it is told to. */

import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { parentPort } from 'node:worker_threads';

/** The bundle's own: V8 keeps what it makes of a script by where that is from. */
const { thread } = createRequire(import.meta.url)(
  '../bundle/worker.js',
) as typeof import('../lib/workers/bundled/thread.js');
parentPort!.on('message', async (message: unknown) => {
  if (message !== 'write') return;
  await writeFile(thread.codeCache, thread.script.createCachedData());
  parentPort!.postMessage('written');
});
