/** A script of `dist/bundle`, and the file beside it with what V8 has made of it when it was built. */

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

/** A script that has run. */
export interface BundledScript {
  readonly script: Script;
  readonly exports: unknown;
}

/** Where Node's other loader would take as long as a thread takes to start: what is native does not need it. */
const NATIVE = /^zstd-napi\//;

/** Where what V8 has made of a script is: of another build, version or processor it would be of no use, and V8 does not tell builds apart. */
export function codeCacheOf(url: URL, source: string): URL {
  const id = /^\/\*([0-9a-f]{16})\*\//.exec(source)?.[1] ?? 'unknown';
  return new URL(`${url.href.replace(/\.js$/, '')}-${process.version}-${process.arch}-${id}.cache`);
}

/** Runs a script as `tools/bundle.ts` writes them. */
export function runBundled(url: URL, source: string, cachedData: Buffer | undefined): BundledScript {
  const filename = fileURLToPath(url);
  const script = new Script(source, { filename, ...(cachedData && { cachedData }) });
  const module = { exports: {} as unknown };
  const require = createRequire(url);
  const importLate = async (name: string): Promise<unknown> =>
    NATIVE.test(name) ? { default: require(name) } : import(name);
  script.runInThisContext()(module.exports, require, module, filename, importLate);
  return { script, exports: module.exports };
}
