import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, expect, it } from 'vitest';
import { installBundle } from '../support/installed.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox('all');
const installed = (...names: readonly string[]): string => join(box().path('installed'), ...names);

/** Runs the program where it was put together; gives what it printed, and which of its modules were loaded. */
async function carport(...args: readonly string[]): Promise<{ stdout: string; modules: string }> {
  const program = installed('dist/bin/carport.js');
  const options = { cwd: box().path('work'), env: { ...box().env, NODE_DEBUG: 'esm' }, extendEnv: false };
  const { stdout, stderr } = await execa(process.execPath, [program, ...args], options);
  return { stdout, modules: stderr };
}

beforeAll(async () => {
  await installBundle(installed());
  await writeFile(box().path('work/file'), 'content');
});

it('a program that was put together does what its modules do, with threads of its own', async () => {
  expect((await readdir(installed('dist/bundle'))).includes('worker.js')).toBe(true);
  const { stdout: path } = await carport('store', 'add', 'file');
  const { stdout, modules } = await carport('push', path, '--to', `file://${box().path('cache')}`);
  expect(stdout).toBe(path);
  expect(modules).toContain('/dist/bin/carport.js');
  expect(modules).not.toContain('/dist/bin/main.js');
  expect((await carport('--version')).stdout).toMatch(/^carport \d/);
});

it('what the engine has made of the program is used, and what it did not make is not', async () => {
  const [cache = ''] = (await readdir(installed('dist/bundle'))).filter((name) => /^main-.*\.cache$/.test(name));
  expect(await isCacheRefused()).toBe('false false');
  await writeFile(installed('dist/bundle', cache), 'not what an engine has made');
  expect(await isCacheRefused()).toBe('false true');
  expect((await carport('key', 'generate', 'name-1', '--out', 'key-1')).stdout).toMatch(/^name-1:/);
  await rm(installed('dist/bundle', cache));
  expect((await carport('key', 'generate', 'name-2', '--out', 'key-2')).stdout).toMatch(/^name-2:/);
});

it('what the engine has made of threads is used, and they do without', async () => {
  const [cache = ''] = (await readdir(installed('dist/bundle'))).filter((name) => /^thread-.*\.cache$/.test(name));
  expect(await isThreadRefused()).toBe('false');
  await rm(installed('dist/bundle', cache));
  expect(await isThreadRefused()).toBe('undefined');
  expect((await carport('store', 'add', 'file')).stdout).toMatch(/-file$/);
});

it('what is imported late is not imported by scripts, which forget where they are from with a code cache', async () => {
  for (const name of ['start.js', 'early.js', 'main.js', 'thread.js']) {
    const script = await readFile(installed('dist/bundle', name), 'latin1');
    expect(script).toContain('importLate(');
    expect(script).not.toMatch(/\bimport\(/);
    // Another of the name inside would load by itself, for ever.
    expect(script).not.toMatch(/\b(?:const|let|var|function) importLate\b/);
  }
});

it('modules that were compiled since are what is run', async () => {
  await writeFile(installed('dist/.tsbuildinfo'), '');
  const later = new Date(Date.now() + 60_000);
  await utimes(installed('dist/.tsbuildinfo'), later, later);
  expect((await carport('key', 'generate', 'name-1', '--out', 'key')).modules).toContain('/dist/bin/program.js');
});

async function isThreadRefused(): Promise<string> {
  const file = JSON.stringify(installed('dist/bundle/worker.js'));
  const thread = JSON.stringify(
    `import(${file}).then((file) => console.log(file.default.thread.script.cachedDataRejected)).finally(process.exit)`,
  );
  const code = `import { Worker } from 'node:worker_threads';
    import { tuneEngine } from ${JSON.stringify(installed('dist/bin/bundle.js'))};
    tuneEngine();
    new Worker(${thread}, { eval: true });`;
  return (await execa(process.execPath, ['--input-type=module', '--eval', code])).stdout;
}

/** Of what comes before the program, and of the program. */
async function isCacheRefused(): Promise<string> {
  const code = `import { loadBundle, tuneEngine } from ${JSON.stringify(installed('dist/bin/bundle.js'))};
    const early = ['start', 'early'].some((name) => loadBundle(name).script.cachedDataRejected !== false);
    tuneEngine();
    console.log(early, loadBundle('main').script.cachedDataRejected);`;
  return (await execa(process.execPath, ['--input-type=module', '--eval', code])).stdout;
}
