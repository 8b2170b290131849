/**
 * Puts the program together into few files, `dist/bundle`, and has `dist/bin/carport.js` prefer them: loading hundreds of
 * modules takes longer than most commands. Part of `npm run build`; what is native or rare stays a package of its own.
 */

import { readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const DIST = fileURLToPath(new URL('../', import.meta.url));

/** By the names of their files in the bundle; threads are started with files beside the module that starts them. */
const ENTRIES = {
  main: 'bin/main.js',
  worker: 'lib/workers/worker.js',
  'small-files-thread': 'lib/filesystem/small-files-thread.js',
};

const EXTERNAL = [/^zstd-napi/, /^@aws-sdk\//, /^@smithy\//, /^xz-decompress/, /^fast-glob$/, /-proxy-agent$/];

await rm(`${DIST}bundle`, { recursive: true, force: true });
const bundle = await rolldown({
  input: Object.fromEntries(Object.entries(ENTRIES).map(([name, path]) => [name, DIST + path])),
  platform: 'node',
  external: EXTERNAL,
  plugins: [{ name: 'package.json is one directory nearer', transform: nearer }],
  // That a module is loaded early and late is no fault.
  checks: { ineffectiveDynamicImport: false },
});
await bundle.write({
  dir: `${DIST}bundle`,
  entryFileNames: '[name].js',
  minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
});
await preferBundle(`${DIST}bin/carport.js`);

/** The program runs the bundle, unless it is gone, or the compiler has written modules since and left a note of that. */
async function preferBundle(program: string): Promise<void> {
  const text = await readFile(program, 'utf8');
  if (text.includes('bundleOr')) return;
  const choice = `
async function bundleOr(modules) {
  const { stat } = await import('node:fs/promises');
  const files = ['../bundle/main.js', '../.tsbuildinfo'].map((name) => new URL(name, import.meta.url));
  const [made, compiled] = await Promise.all(files.map((file) => stat(file).catch(() => undefined)));
  return made && !(compiled?.mtimeMs > made.mtimeMs) ? import('../bundle/main.js') : modules();
}
`;
  await writeFile(program, text.replace("import('./main.js')", (found) => `bundleOr(() => ${found})`) + choice);
}

function nearer(code: string, path: string): string | undefined {
  return path.endsWith('/bin/help/quick.js')
    ? code.replace("'../../../package.json'", "'../../package.json'")
    : undefined;
}
