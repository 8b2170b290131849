import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { takeDrain } from '../../bin/watch/drain-lock.js';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const PATIENT = { timeout: 60_000, interval: 200 };

const shared = useSandbox('all');
const box = useSandbox();
let store: SampleStore;
let args: readonly string[];
beforeAll(async () => {
  store = await createSampleStore(shared().root);
});
beforeEach(async () => {
  const key = await box().makeKey('test-1');
  args = ['hook', '--to', box().path('cache'), '--secret-key', key.file];
});

/** In a process of its own: the script and what drains get its command line. */
const carport = (more: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  execa(process.execPath, [CARPORT, ...more], {
    ...{ cwd: box().root, env: { ...box().env, ...env }, extendEnv: false, reject: false },
  });
const scriptOf = async (more: readonly string[], env: Readonly<Record<string, string>> = {}) => {
  const { exitCode, stdout, stderr } = await carport([...args, ...more, '--print-script'], env);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  return stdout;
};

const inCache = async () => [...(await narInfosOf(box().path('cache')).catch(() => new Map())).keys()];
const queueIn = (script: string) => /^queue='?(.*?)'?$/m.exec(script)![1]!;
const runScript = (script: string, path: string) =>
  execa('/bin/sh', ['-c', script], {
    env: { PATH: '/usr/bin:/bin', OUT_PATHS: path },
    extendEnv: false,
    reject: false,
  });
const drained = (queue: string) => vi.waitFor(async () => expect(await readdir(queue)).toEqual(['.log']), PATIENT);

it('drains what was given behind `--`, once', async () => {
  expect(await carport([...args, '--store', store.root, '--', store.base.path])).toMatchObject({ exitCode: 0 });
  await expect.poll(inCache, PATIENT).toEqual([store.base.path]);
  const script = await scriptOf(['--store', store.root]);
  await drained(queueIn(script));
  expect(await readFile(join(queueIn(script), '.log'), 'utf8')).toContain('pushed 1 path');
});

it('lets a build go on where it cannot write, and writes through no link', async () => {
  const script = await scriptOf(['--store', store.root]);
  const queue = queueIn(script);
  await mkdir(join(queue, '..'), { recursive: true });
  await writeFile(queue, 'a file');
  expect(await runScript(script, store.base.path)).toMatchObject({ exitCode: 0 });
  expect(await readFile(queue, 'utf8')).toBe('a file');
  await rm(queue);
  await mkdir(join(queue, basename(store.base.path)), { recursive: true });
  await takeDrain(queue);
  expect(await runScript(script, store.base.path)).toMatchObject({ exitCode: 0 });
});

it('starts one process, and one more only where that of the lock is gone, whose id another may have', async () => {
  const script = await scriptOf([], { CARPORT_STORE: store.root });
  const queue = queueIn(script);
  await mkdir(queue, { recursive: true });
  await takeDrain(queue);
  await runScript(script, store.base.path);
  expect((await readdir(queue)).sort()).toEqual(['.drainer', basename(store.base.path)]);
  const lock = await readFile(join(queue, '.drainer'), 'utf8');
  // The process of this id was started at another time.
  await writeFile(
    join(queue, '.drainer'),
    lock.replace(/^(\d+ \S+) \d+/, '$1 1').replace(/-\d+-(?=[0-9a-f]{24})/, '-1-'),
  );
  await runScript(script, store.base.path);
  await expect.poll(inCache, PATIENT).toEqual([store.base.path]);
  await drained(queue);
});

it.each(['-', 'fd:3', '/dev/stdin', '/dev/fd/3'])(
  'refuses a key that is gone when it is needed: %s',
  async (source) => {
    const from = [...args.slice(0, -1), source, '--store', store.root];
    for (const more of ['--print-script', store.base.path]) {
      const { exitCode, stderr } = await box().carport([...from, more]);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('the hook needs the key in a file');
    }
  },
);

it('prints no script that would not find Nix', async () => {
  const { exitCode, stderr } = await box().carport([...args, '--print-script'], { env: { PATH: box().path('empty') } });
  expect(exitCode).toBe(5);
  expect(stderr).toContain('`nix` is not on PATH');
});
