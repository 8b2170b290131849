import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { useSandbox } from '../support/sandbox.js';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const box = useSandbox('all');

/** Installs carport as npm does where no scripts run: the package of zstd is there, and its native module is not. */
async function install(): Promise<void> {
  const modules = join(TOP, 'node_modules');
  const installed = box().path('installed');
  await mkdir(join(installed, 'node_modules'), { recursive: true });
  await cp(join(TOP, 'package.json'), join(installed, 'package.json'));
  await cp(join(TOP, 'dist'), join(installed, 'dist'), { recursive: true });
  for (const name of await readdir(modules)) {
    if (name !== 'zstd-napi') await symlink(join(modules, name), join(installed, 'node_modules', name));
  }
  const zstd = join(modules, 'zstd-napi');
  await cp(zstd, join(installed, 'node_modules/zstd-napi'), {
    recursive: true,
    filter: (path) => !['build', 'deps', 'node_modules'].some((name) => path === join(zstd, name)),
  });
}

async function carport(...args: readonly string[]) {
  const program = box().path('installed/dist/bin/carport.js');
  const { exitCode, stdout, stderr } = await execa(process.execPath, [program, ...args], {
    cwd: box().path('work'),
    env: box().env,
    extendEnv: false,
    reject: false,
  });
  return { exitCode, stdout, stderr };
}

describe('carport that was installed without scripts', () => {
  let added = '';

  beforeAll(async () => {
    await install();
    await writeFile(box().path('work/file'), 'content');
    const { exitCode, stdout, stderr } = await carport('store', 'add', 'file');
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining('rror') });
    added = stdout.trim();
  });

  it('adds, verifies, and tells what is there', async () => {
    expect(added).toMatch(/^\/nix\/store\/[a-z0-9]{32}-file$/);
    expect((await carport('store', 'verify')).exitCode).toBe(0);
    expect((await carport('store', 'ls')).stdout).toContain(added);
  });

  it('pushes and pulls what needs no zstd', async () => {
    const { file, publicKey } = await box().makeKey('test-1');
    const cache = `file://${box().path('plain')}`;
    const pushed = await carport('push', '--to', cache, '--secret-key', file, '--compression', 'none', added);
    expect(pushed).toMatchObject({ exitCode: 0 });
    const store = box().path('other');
    const pulled = await carport('pull', '--from', cache, '--trusted-key', publicKey, '--store', store, added);
    expect(pulled).toMatchObject({ exitCode: 0 });
  });

  it('says what to do where zstd is needed: to push', async () => {
    const { file } = await box().makeKey('test-2');
    const cache = `file://${box().path('cache')}`;
    const { exitCode, stderr } = await carport('push', '--to', cache, '--secret-key', file, added);
    expect(stderr).toContain('the native module of zstd is missing');
    expect(stderr).toContain('npm rebuild --ignore-scripts=false zstd-napi');
    expect(stderr).not.toContain('report');
    expect(exitCode).not.toBe(0);
  });

  it('says what to do where zstd is needed: to pull', async () => {
    const { file, publicKey } = await box().makeKey('test-3');
    const cache = `file://${box().path('compressed')}`;
    await box().succeed(['push', '--to', cache, '--secret-key', file, added]);
    const store = box().path('third');
    const { exitCode, stderr } = await carport(
      'pull',
      '--from',
      cache,
      '--trusted-key',
      publicKey,
      '--store',
      store,
      added,
    );
    expect(stderr).toContain('npm rebuild --ignore-scripts=false zstd-napi');
    expect(exitCode).not.toBe(0);
  });
});
