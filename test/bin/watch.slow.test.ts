import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const box = useSandbox();
let key: KeyFile;
beforeEach(async () => {
  key = await box().makeKey('test-1');
});

/** Runs `carport watch` with a script as the command; `$carport` in it is carport with the store of this test. */
async function watch(script: string, { options = [], env = {} }: { options?: readonly string[]; env?: object } = {}) {
  const store = ['--store', box().path('store')];
  const to = options.includes('--to') ? [] : ['--to', box().path('cache')];
  const all = ['watch', ...store, ...to, '--sources', ...options, '--', '/bin/sh', '-c', script];
  return execa(process.execPath, [CARPORT, ...all], {
    cwd: box().path('work'),
    env: {
      ...box().env,
      PATH: '/usr/bin:/bin',
      carport: [process.execPath, CARPORT].join(' '),
      store: box().path('store'),
      CARPORT_SECRET_KEY_FILES: key.file,
      ...env,
    },
    extendEnv: false,
    reject: false,
  });
}
const add = (name: string) =>
  `echo ${name} > ${name}; $carport store add ${name} --name ${name} --store $store > /dev/null 2>&1`;
const names = async () =>
  [...(await narInfosOf(box().path('cache')).catch(() => new Map())).keys()].map((path) => path.slice(44)).sort();

describe('watch', () => {
  it('pushes what came while the command ran and nothing else, and ends as the command does', async () => {
    await writeFile(box().path('work/old'), '');
    await box().succeed(['store', 'add', 'old', '--name', 'old', '--store', box().path('store')]);
    const { exitCode, stdout, stderr } = await watch(`${add('one')}; ${add('two')}; echo said; exit 7`);
    expect(exitCode).toBe(7);
    expect(stdout).toBe('said');
    expect(stderr).toMatch(/^carport: pushed 2 paths \(.*\), 0 were there$/);
    expect(await names()).toEqual(['one', 'two']);
    expect(await readdir(box().path('state/carport/queue')).then((all) => all.length)).toBe(1);
  });

  it('runs the command where the cache is away, tells what is missing, and the next run pushes it', async () => {
    const options = ['--to', `s3://b?endpoint=http://127.0.0.1:9&region=r`, '--retry-seconds', '0'];
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
    const away = await watch(add('one'), { options, env });
    expect(away.exitCode).toBe(0);
    expect(away.stderr).toMatch(/1 path is not in the cache: [\s\S]*-one\n[\s\S]*next `carport watch`/);
    const strict = await watch('true', { options: [...options, '--strict'], env });
    expect(strict.exitCode).toBe(75);
    expect(strict.stderr).toContain('-one');
  });

  it('pushes what an earlier run has left', async () => {
    await writeFile(box().path('cache'), 'no directory');
    const failed = await watch(add('one'));
    expect(failed.exitCode).toBe(0);
    expect(failed.stderr).toContain('1 path is not in the cache');
    await rm(box().path('cache'));
    const { stderr } = await watch(add('two'));
    expect(stderr).toMatch(/^carport: pushed 2 paths/);
    expect(await names()).toEqual(['one', 'two']);
  });

  it('passes signals on, and ends as the command does then', async () => {
    const { exitCode } = await watch('trap "exit 9" TERM; kill -TERM $PPID; sleep 20 > /dev/null 2>&1 & wait');
    expect(exitCode).toBe(9);
  });

  it('refuses what cannot work before the command runs, and runs it where there is no key and that is meant', async () => {
    expect(await watch('echo ran', { env: { CARPORT_SECRET_KEY_FILES: '/nowhere' } })).toMatchObject({
      ...{ exitCode: 4, stdout: '' },
    });
    const env = { CARPORT_SECRET_KEY_FILES: '', CI: 'true' };
    expect(await watch('echo ran', { env })).toMatchObject({ exitCode: 4, stdout: '' });
    const skipped = await watch('echo ran; exit 3', { env, options: ['--skip-without-key'] });
    expect(skipped).toMatchObject({ exitCode: 3, stdout: 'ran', stderr: expect.stringContaining('nothing is pushed') });
  });

  it('takes no key from stdin, which the command has, too', async () => {
    for (const source of ['-', '/dev/stdin', 'fd:0']) {
      const { exitCode, stderr, stdout } = await watch('echo ran', { options: ['--secret-key', source] });
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      expect(stderr).toContain('the command would have it');
    }
  });

  it('tells where it cannot be seen what came last', async () => {
    const hash = 'a'.repeat(32);
    const broken = `mkdir -p $store/nix/var/carport/info $store/nix/store/${hash}-one; echo damaged > $store/nix/var/carport/info/${hash}.narinfo`;
    const { exitCode, stderr } = await watch(broken, { options: ['--strict'] });
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('what was built is not pushed');
  });

  it('gives the command no secret key', async () => {
    const text = (await readFile(key.file, 'utf8')).trim();
    const { stdout } = await watch('env', { env: { CARPORT_SECRET_KEY_FILES: '', CARPORT_SECRET_KEY: text } });
    expect(stdout).toContain('PATH=');
    expect(stdout).not.toContain('CARPORT_SECRET_KEY=');
  });
});
