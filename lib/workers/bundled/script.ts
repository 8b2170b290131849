/** A script of `dist/bundle`, and the file beside it with what V8 has made of it when it was built. */

import { readFileSync, type Stats, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

/** A script that has run. */
export interface BundledScript {
  readonly script: Script;
  readonly exports: unknown;
  /** Where its code cache belongs. */
  readonly codeCache: URL;
}

/** Where Node's other loader would take as long as a thread takes to start: what is native does not need it. */
const NATIVE = /^zstd-napi\//;

/**
 * Runs a script as `tools/bundle.ts` writes them, with what V8 has made of it, which takes half of the time. `undefined` where there is
 * none, or `newer` is. Blocks while it reads: nothing else can be done meanwhile.
 */
export function loadBundled(url: URL, newer?: URL): BundledScript | undefined {
  const made = statsOf(url);
  const other = newer && statsOf(newer);
  if (!made || (other && other.mtimeMs > made.mtimeMs)) return undefined;
  // The build leaves nothing in it that is not ASCII.
  const source = readFileSync(url, 'latin1');
  const codeCache = codeCacheOf(url, source);
  return { ...runBundled(url, source, statsOf(codeCache) && readFileSync(codeCache)), codeCache };
}

function statsOf(file: URL): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false });
}

/** Where what V8 has made of a script is: of another build, version or processor it would be of no use, and V8 does not tell builds apart. */
function codeCacheOf(url: URL, source: string): URL {
  const id = /^\/\*([0-9a-f]{16})\*\//.exec(source)?.[1] ?? 'unknown';
  return new URL(`${url.href.replace(/\.js$/, '')}-${process.version}-${process.arch}-${id}.cache`);
}

function runBundled(
  url: URL,
  source: string,
  cachedData: Buffer | undefined,
): Pick<BundledScript, 'script' | 'exports'> {
  const filename = fileURLToPath(url);
  const script = new Script(source, { filename, ...(cachedData && { cachedData }) });
  const module = { exports: {} as unknown };
  const require = createRequire(url);
  // In the bundle `import` becomes `importLate`, that of whoever runs this: nothing here may have the name.
  const late = async (name: string): Promise<unknown> =>
    NATIVE.test(name) ? { default: require(name) } : import(name);
  script.runInThisContext()(module.exports, require, module, filename, late);
  return { script, exports: module.exports };
}
