import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { writeFiles } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

describeWithNix('a build output that refers to a path of Nix', () => {
  const box = useSandbox('all');
  let nix: NixStore;
  beforeAll(async () => {
    nix = await createNixStore();
  });
  afterAll(() => nix.remove());
  const root = () => box().path('data/carport');
  const environment = () => ({ ...nix.env, XDG_DATA_HOME: box().path('data') });
  const store = (...args: readonly string[]) => box().carport(['store', ...args], { env: environment() });

  it('stays, also when the default root is named, and when Nix has lost what it refers to', async () => {
    await writeFiles(box().path('trees/of-nix'), { file: 'x' });
    const ofNix = await nix.run('nix-store', ['--add', box().path('trees/of-nix')]);
    await writeFiles(box().path('trees/output'), { file: `see ${ofNix}` });
    const added = await store('add', box().path('trees/output'), '--out-link', 'result');
    const path = added.stdout.trim();
    const expectKept = async () => {
      expect((await store('gc')).stdout).toBe('');
      expect(await readFile(box().path('work/result/file'), 'utf8')).toBe(`see ${ofNix}`);
      expect((await store('ls')).stdout).toBe(`${path}\n`);
    };
    for (const args of [[], ['--store', root()], ['--store', `${root()}/../carport/`]]) {
      const { exitCode, stderr } = await store('verify', '--repair', ...args);
      expect([exitCode, stderr]).toEqual([0, '1 path checked, all whole\n']);
      await expectKept();
    }

    await nix.run('nix-store', ['--delete', ofNix]);
    const { exitCode, lines, stderr } = await store('verify', '--repair');
    expect([exitCode, lines]).toEqual([6, [`${path}: incomplete: it refers to \`${ofNix}\`, which is not valid`]]);
    expect(stderr).toContain('hint: pull or add the paths again that are not valid');
    await expectKept();
  });
});
