/**
 * The program as `tools/bundle.ts` puts it together: one script, and beside it what V8 has made of that when it was built.
 * Reading both takes a tenth of the time that hundreds of modules take.
 */

import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { setFlagsFromString } from 'node:v8';
import type { Script } from 'node:vm';
import type { NixAnswer } from '../lib/store/nix/ahead.js';
import { codeCacheOf, runBundled } from '../lib/workers/bundled/script.js';

/** The script, as it has run, and what it exports. */
export interface Bundle {
  readonly script: Script;
  /** Where its code cache belongs. */
  readonly codeCache: URL;
  readonly exports: typeof import('./main.js');
}

const DIRECTORY = new URL('../bundle/', import.meta.url);
const SCRIPT = new URL('main.js', DIRECTORY);
const COMPILED = new URL('../.tsbuildinfo', import.meta.url);

/** Has V8 run as it is to for programs of seconds. What it makes of a script counts for the same flags only. */
export function tuneEngine(): void {
  // V8 optimises early, on threads beside ours: in a run of seconds that is a fifth of the processor time for nothing. Later
  // versions than that of Node 20 do not know the flag, and would say so on stderr.
  if (process.versions.v8.startsWith('11.')) setFlagsFromString('--interrupt-budget=2000000');
}

/** Has Nix be asked while the bundle is read, where there is one and a command line lets that be of use. */
export async function askAhead(args: readonly string[], env: NodeJS.ProcessEnv): Promise<NixAnswer | undefined> {
  if (args[0] !== 'push') return undefined;
  try {
    const { startAhead } = createRequire(import.meta.url)('../bundle/ahead.js') as typeof import('./push/ahead.js');
    return await startAhead(args, env);
  } catch {
    // It is asked when the program is there.
    return undefined;
  }
}

/** Runs the bundle; nothing where there is none, or the compiler has written modules since and left a note of that. */
export async function loadBundle(): Promise<Bundle | undefined> {
  const [made, compiled, source] = await Promise.all([
    stat(SCRIPT).catch(() => undefined),
    stat(COMPILED).catch(() => undefined),
    // The build leaves nothing in it that is not ASCII.
    readFile(SCRIPT, 'latin1').catch(() => undefined),
  ]);
  if (!made || source === undefined || (compiled && compiled.mtimeMs > made.mtimeMs)) return undefined;
  const codeCache = codeCacheOf(SCRIPT, source);
  const { script, exports } = runBundled(SCRIPT, source, await readFile(codeCache).catch(() => undefined));
  return { script, codeCache, exports: exports as Bundle['exports'] };
}
