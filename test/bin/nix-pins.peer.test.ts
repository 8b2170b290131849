import { readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const tool = (words: string) => `derivation {
  name = "tool"; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
  args = [ "-c" "mkdir -p $out/bin; printf '#!/bin/sh\\necho ${words}\\n' > $out/bin/tool; chmod +x $out/bin/tool" ];
}`;

describeWithNix('a pin that was pulled into Nix', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let origin: NixStore;
  let nix: NixStore;
  let key: KeyFile;
  let cache: string;
  let paths: readonly string[];
  beforeAll(async () => {
    origin = await createNixStore();
    key = await shared().makeKey('test-1');
    cache = shared().path('cache');
    // One after another: two of Nix's processes cannot make a new store at once.
    paths = [...(await origin.build(tool('one'))), ...(await origin.build(tool('two')))];
    await set(paths[0]!);
  });
  afterAll(() => origin.remove());
  beforeEach(async () => {
    nix = await createNixStore();
  });
  afterEach(() => nix.remove());

  const set = (path: string) => {
    const push = ['push', path, '--pin', 'tool', '--to', cache, '--secret-key', key.file, '--store', 'nix'];
    return shared().succeed(push, { env: origin.env });
  };
  const source = () => ['--from', cache, '--trusted-key', key.publicKey];
  const succeed = (...args: readonly string[]) => box().succeed(args, { env: nix.env });
  const state = () => box().path('state/carport/nix-pins');

  it('is a root of Nix, works by its name, and leaves the own store alone', async () => {
    await succeed('pull', 'tool', '--store', 'nix', ...source());
    await nix.run('nix-store', ['--gc']);
    expect(await nix.run('nix-store', ['--check-validity', paths[0]!])).toBe('');
    expect((await succeed('run', 'tool', '--store', 'nix', '--', 'tool')).stdout).toBe('one\n');
    expect((await succeed('run', 'tool', '--', 'tool')).stdout).toBe('one\n');
    expect((await succeed('run', 'tool', '--store', 'nix', ...source(), '--', 'tool')).stdout).toBe('one\n');
    expect((await succeed('store', 'ls', '--roots')).stdout).toBe('');

    await set(paths[1]!);
    await succeed('pull', 'tool', '--store', 'nix', ...source());
    expect((await succeed('run', 'tool', '--store', 'nix', '--', 'tool')).stdout).toBe('two\n');
    await nix.run('nix-store', ['--gc']);
    const left = await nix.run('nix-store', ['--check-validity', '--print-invalid', ...paths]);
    expect(left).toBe(paths[0]);

    expect((await succeed('store', 'forget', 'tool', '--store', 'nix')).lines).toEqual(['tool']);
    expect(await readdir(state())).toEqual([]);
    await nix.run('nix-store', ['--gc']);
    expect(await nix.run('nix-store', ['--check-validity', '--print-invalid', ...paths])).toBe(paths.join('\n'));
    const { exitCode } = await box().carport(['store', 'forget', 'tool', '--store', 'nix'], { env: nix.env });
    expect(exitCode).toBe(5);
  });

  it('is told before anything is fetched when it cannot be kept', async () => {
    const env = { ...nix.env, XDG_STATE_HOME: '/proc/nowhere' };
    const { exitCode, stdout, stderr } = await box().carport(['pull', 'tool', '--store', 'nix', ...source()], { env });
    expect([exitCode, stdout]).toEqual([5, '']);
    expect(stderr).toContain('/proc/nowhere');
    expect(await nix.run('nix-store', ['--dump-db'])).toBe('');
  });
});
