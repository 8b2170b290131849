/**
 * Puts the program together into few files, `dist/bundle`, which `bin/bundle.ts` runs: loading hundreds of modules takes
 * longer than most commands. Part of `npm run build`; what is native or rare stays a package of its own.
 */

import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire, isBuiltin } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import { runProgram } from '../lib/process/run.js';

const DIST = fileURLToPath(new URL('../', import.meta.url));
const BUNDLE = `${DIST}bundle/`;

/** By the names of their files in the bundle; threads are started with files beside the module that starts them. */
const ENTRIES = {
  carport: 'bin/installed.js',
  start: 'bin/start.js',
  early: 'bin/push/early.js',
  main: 'bin/main.js',
  worker: 'lib/workers/bundled/thread.js',
  thread: 'lib/workers/worker.js',
  'small-files-thread': 'lib/filesystem/small-files-thread.js',
};

const PACKAGES = [/^zstd-napi/, /^@aws-sdk\//, /^@smithy\//, /^xz-decompress/, /^fast-glob$/, /-proxy-agent$/];

/** Of what is loaded late only in the program, and not before it: its size is time. Who asks for it leaves the work to the program. */
const NOT_AHEAD = [
  ...[/^execa$/, /command\.js$/, /^\.\/scripts\//, /\/push\.js$/],
  ...[/\/xz\/write\.js$/, /\/s3\//, /\/zstd-wasm\.js$/],
];

/**
 * What an early push cannot need, which looks into directories only: servers, archives, the making of keys. Who calls it leaves the
 * work to the program.
 */
const NOT_EARLY =
  /\/(?:tweetnacl\/nacl-fast|dist\/lib\/(?:http|compression|object-store\/(?:http|s3|download|many-ranges|content-encoding|spool|s3\/\S+)))(?:\/\S+)?\.js$/;

/** Modules of Node that take long to load, and that few commands need: they are when something of them is used. */
const SLOW = ['http', 'https', 'net', 'tls', 'zlib', 'readline', 'child_process', 'worker_threads', 'stream/web'];

/** Begins the name of a module that stands for one from outside. */
const OUTSIDE = '\0outside:';
/** And that of one that stands for one of ours. */
const REFUSED = '\0refused:';

const plugins: readonly Plugin[] = [
  {
    name: 'package.json is one directory nearer',
    transform: (code, path) =>
      path.endsWith('/bin/help/quick.js') ? code.replace("'../../../package.json'", "'../../package.json'") : undefined,
  },
  {
    name: 'what comes from outside is loaded with the module that needs it, and not with the bundle',
    resolveId(source, importer, { kind }) {
      if (!isBuiltin(source) && !PACKAGES.some((name) => name.test(source))) return undefined;
      const isLoadedLate = kind === 'dynamic-import' || importer?.startsWith(OUTSIDE) === true;
      // What nothing is taken of is left out.
      return isLoadedLate ? { id: source, external: true } : { id: OUTSIDE + source, moduleSideEffects: false };
    },
    load: (id) => (id.startsWith(OUTSIDE) ? { code: outside(id.slice(OUTSIDE.length)), moduleType: 'js' } : undefined),
  },
];

const withoutLate: Plugin = {
  name: 'what only the program needs is left out',
  resolveId: (source, _, { kind }) =>
    kind === 'dynamic-import' && NOT_AHEAD.some((name) => name.test(source))
      ? { id: source, external: true }
      : undefined,
};

const besides: Plugin = {
  name: 'modules stay where they are',
  resolveId: (source, _, { kind }) =>
    kind === 'dynamic-import' ? { id: source.replace('./', '../bin/'), external: true } : undefined,
};

const atOnce: Plugin = {
  name: 'files are read at once where nothing else is done meanwhile',
  resolveId: (source, _, { kind }) =>
    source === 'node:fs/promises' && kind !== 'dynamic-import' ? `${DIST}lib/workers/bundled/sync-fs.js` : undefined,
};

const withoutServers: Plugin = {
  name: 'what an early push cannot need is refused when it is called',
  async resolveId(source, importer, options) {
    const found = await this.resolve(source, importer, { ...options, skipSelf: true });
    if (!found || !NOT_EARLY.test(found.id) || !(await functionsOf(found.id))) return undefined;
    return { id: REFUSED + found.id, moduleSideEffects: false };
  },
  async load(id) {
    if (!id.startsWith(REFUSED)) return undefined;
    const names = (await functionsOf(id.slice(REFUSED.length))) ?? [];
    const code = `function refuse() { throw new Error('left to the program'); }
export { ${names.map((name) => `refuse as ${name}`).join(', ')} };`;
    return { code, moduleType: 'js' };
  },
};

/** By the names of scripts. */
const EARLY: Readonly<Record<string, readonly Plugin[]>> = {
  carport: [besides],
  start: [withoutLate, atOnce],
  early: [withoutLate, withoutServers, atOnce],
};

await rm(BUNDLE, { recursive: true, force: true });
for (const [name, path] of Object.entries(ENTRIES)) await bundle(name, DIST + path);
await writeFile(`${BUNDLE}package.json`, '{ "type": "commonjs" }\n');
for (const name of ['start', 'early', 'main', 'thread']) await wrap(`${BUNDLE}${name}.js`);
// In a process of its own: this one has loaded more than the program does.
const { failure } = await runProgram(process.execPath, [`${DIST}tools/code-cache.js`]);
if (failure) throw failure;

async function bundle(name: string, path: string): Promise<void> {
  const built = await rolldown({
    input: { [name]: path },
    platform: 'node',
    plugins: [...(EARLY[name] ?? []), ...plugins],
    // That a module is loaded early and late is no fault.
    checks: { ineffectiveDynamicImport: false },
  });
  await built.write({
    dir: BUNDLE,
    format: 'cjs',
    codeSplitting: false,
    entryFileNames: '[name].js',
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  });
}

/** What a module exports where that is functions, or a package as one; nothing where there are values, which are needed to read a command line. */
async function functionsOf(path: string): Promise<readonly string[] | undefined> {
  const all = Object.entries((await import(path)) as object).filter(([name]) => /^\w+$/.test(name));
  const isFunctions = all.every(([name, value]) => name === 'default' || typeof value === 'function');
  return isFunctions ? all.map(([name]) => name) : undefined;
}

function outside(source: string): string {
  const required = `require(${JSON.stringify(source)})`;
  if (!SLOW.includes(source.replace(/^node:/, ''))) return `module.exports = ${required};`;
  const names = Object.keys(createRequire(import.meta.url)(source) as object);
  const getters = names.map((name) => `get ${JSON.stringify(name)}() { return ${required}[${JSON.stringify(name)}]; }`);
  return `module.exports = { ${getters.join(', ')} };`;
}

/**
 * Makes a module one expression, in ASCII, which V8 reads at half the cost. What it imports late is loaded by who runs it: V8 forgets
 * where a script is from that it has a cache of, and Node refuses its `import()` then. In front is what tells one build from another.
 */
async function wrap(path: string): Promise<void> {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const code = (await readFile(path, 'utf8')).replace(/[^\x00-\x7f]/g, escaped).replace(/\bimport\(/g, 'importLate(');
  const id = createHash('sha256').update(code).digest('hex').slice(0, 16);
  await writeFile(path, `/*${id}*/(function (exports, require, module, __filename, importLate) {${code}\n})`);
}
