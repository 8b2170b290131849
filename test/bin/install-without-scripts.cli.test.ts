import { cp, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { beforeAll, describe, expect, it } from 'vitest';
import { snapshot } from '../support/samples.js';
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

  it('pushes and pulls with zstd, and writes the same bytes', async () => {
    const { file, publicKey } = await box().makeKey('test-2');
    const [here, there] = [box().path('cache'), box().path('native')];
    const pushed = await carport('push', '--to', here, '--secret-key', file, added);
    expect(pushed).toMatchObject({ exitCode: 0 });
    await box().succeed(['push', '--to', there, '--secret-key', file, added]);
    expect(await snapshot(here)).toEqual(await snapshot(there));
    const store = box().path('third');
    const pulled = await carport('pull', '--from', there, '--trusted-key', publicKey, '--store', store, added);
    expect(pulled).toMatchObject({ exitCode: 0 });
    expect((await carport('--version', '--json')).stdout).toContain('"zstd": "1.5');
  });
});
