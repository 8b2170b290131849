/**
 * The program as `tools/bundle.ts` puts it together: one script, and beside it what V8 has made of that when it was built.
 * Reading both takes a tenth of the time that hundreds of modules take.
 */

import { readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import type { NixAnswer } from '../lib/store/nix/ahead.js';

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

/** Where what V8 has made of a script is: of another build, version or processor it would be of no use, and V8 does not tell builds apart. */
function codeCacheOf(source: string): URL {
  const id = /^\/\*([0-9a-f]{16})\*\//.exec(source)?.[1] ?? 'unknown';
  return new URL(`main-${process.version}-${process.arch}-${id}.cache`, DIRECTORY);
}

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
  const codeCache = codeCacheOf(source);
  const cachedData = await readFile(codeCache).catch(() => undefined);
  const filename = fileURLToPath(SCRIPT);
  const script = new Script(source, { filename, ...(cachedData && { cachedData }) });
  const module = { exports: {} };
  const importLate = (name: string) => import(name);
  script.runInThisContext()(module.exports, createRequire(SCRIPT), module, filename, importLate);
  return { script, codeCache, exports: module.exports as Bundle['exports'] };
}
