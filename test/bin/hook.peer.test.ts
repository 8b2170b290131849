import { chmod, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { createNixStore, describeWithNix, type NixStore, type NixStoreOptions } from '../support/nix.js';
import { describeWithNixVersion } from '../support/nix-versions.js';
import { CARPORT, useSandbox } from '../support/sandbox.js';
import { narInfosOf } from '../support/transfers.js';

const drv = (name: string) =>
  `derivation { name = "${name}"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo ${name} > $out" ]; }`;

const PATIENT = { timeout: 60_000, interval: 300 };

function hooks(options: NixStoreOptions): void {
  const box = useSandbox('all');
  let nix: NixStore;
  let args: readonly string[];
  const carport = (...more: readonly string[]) =>
    execa(process.execPath, [CARPORT, 'hook', ...args, ...more], {
      cwd: nix.root,
      env: { ...box().env, ...nix.env, XDG_STATE_HOME: box().path('state') },
      extendEnv: false,
      reject: false,
    });
  const names = async () =>
    [...(await narInfosOf(box().path('cache')).catch(() => new Map())).keys()]
      .map((path) => path.split('-').at(-1))
      .sort();
  const waiting = async () => {
    const [queue] = await readdir(box().path('state/carport/queue'));
    return (await readdir(box().path('state/carport/queue', queue!))).filter((name) => name !== '.log');
  };
  /** Builds with the script as Nix's hook. */
  const build = (name: string, script: string) =>
    nix.run('nix-build', ['--no-out-link', '--option', 'post-build-hook', script, '-E', drv(name)]);

  beforeAll(async () => {
    nix = await createNixStore({ ...options, ownStoreDir: true });
    const key = await box().makeKey('test-1');
    args = ['--to', box().path('cache'), '--secret-key', key.file];
  });
  afterAll(async () => {
    // What was started is still there for a while.
    await vi.waitFor(async () => expect(await waiting()).not.toContain('.drainer'), PATIENT);
    await nix.remove();
  });

  it('puts what was built on disk, where a cache that is away stops nothing, and a later run pushes it', async () => {
    await writeFile(box().path('cache'), 'no directory');
    const script = join(nix.root, 'hook');
    await writeFile(script, (await carport('--print-script')).stdout);
    await chmod(script, 0o755);
    await build('one', script);
    await build('two', script);
    expect((await waiting()).filter((name) => name !== '.drainer')).toHaveLength(2);
    await expect.poll(waiting, PATIENT).not.toContain('.drainer');
    await execa('rm', [box().path('cache')]);
    const drained = await carport('--drain');
    expect({ exitCode: drained.exitCode, stderr: drained.stderr }).toMatchObject({ exitCode: 0 });
    // One that was started by a build may have been faster.
    await expect.poll(names, PATIENT).toEqual(['one', 'two']);
    await expect.poll(waiting, PATIENT).toEqual([]);
  });

  it('pushes beside builds', async () => {
    const script = join(nix.root, 'hook');
    await build('three', script);
    await expect.poll(names, PATIENT).toContain('three');
  });

  it('takes paths and derivations, and forgets what is gone', async () => {
    const [path] = await nix.build(drv('four'));
    const derivation = await nix.run('nix-store', ['-q', '--deriver', path!]);
    const gone = path!.replace(/[^/]*$/, `${'0'.repeat(32)}-gone`);
    expect((await carport(derivation, gone)).exitCode).toBe(0);
    await expect.poll(names, PATIENT).toContain('four');
  });
}

describeWithNix('hook, with the Nix of this system', () => hooks({}));
describeWithNixVersion('sid', 'hook, with a newer Nix', () => hooks({ version: 'sid' }));
