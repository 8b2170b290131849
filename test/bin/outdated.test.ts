import { rm, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { createAdder } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path(...names);

it('a pull says when a pin has moved, and outdated before that', async () => {
  const key = await box().makeKey('k-1');
  const add = createAdder(at('store'), at('trees'));
  const [one, two] = [await add('one', { file: '1' }), await add('two', { file: '2' })];
  await add.close();
  const set = (path: string, name: string) =>
    box().succeed([
      ...['push', path, '--store', at('store'), '--to', at('cache'), '--pin', name],
      ...['--secret-key', key.file],
    ]);
  const reader = ['--trusted-key', key.publicKey, '--store', at('own')];
  const pull = (...more: string[]) => box().succeed(['pull', 'tool', '--from', at('cache'), ...reader, ...more]);
  const outdated = (...more: string[]) => box().carport(['outdated', ...reader, ...more]);

  expect(await outdated()).toMatchObject({ exitCode: 0, stdout: '' });
  await set(one.path, 'tool');
  await set(one.path, 'other');
  expect((await pull()).stderr).not.toContain('→');
  await box().succeed(['pull', 'other', '--from', at('cache'), ...reader]);
  expect(await outdated()).toMatchObject({ exitCode: 0, stdout: '' });
  // It is set again, and stands for the same.
  await set(one.path, 'tool');
  expect((await pull()).stderr).not.toContain('→');

  await set(two.path, 'tool');
  const ran = await outdated();
  expect(ran).toMatchObject({ exitCode: 1, lines: [expect.stringMatching(/^tool: 20\S+.* → 20\S+/)] });
  const json = await outdated('--json');
  expect(json.exitCode).toBe(1);
  const { pins } = JSON.parse(json.stdout) as { pins: { name: string }[] };
  expect(pins.sort((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
    { name: 'other', state: 'current', newest: null, storePaths: [one.path] },
    { name: 'tool', kind: 'pin', state: 'outdated', storePaths: [one.path], newest: { storePaths: [two.path] } },
  ]);
  expect(await outdated('other')).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await outdated('none')).toMatchObject({ exitCode: 5 });
  await writeFile(at('work/carport.toml'), '[toolchains]\ncompiler = "other"\n');
  await box().succeed(['lock', '--from', at('cache'), '--trusted-key', key.publicKey]);
  await set(two.path, 'other');
  const locked = await outdated('compiler', '--from', at('cache'));
  expect(locked).toMatchObject({ exitCode: 1, lines: [expect.stringMatching(/^compiler: .* → .*lock --update/)] });
  await rm(at('work/carport.toml'));
  await box().succeed(['pull', 'other', '--from', at('cache'), ...reader]);
  const moved = await pull('--json');
  expect(moved.lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ type: 'pin-moved', pin: 'tool', storePaths: [two.path] }),
  );
  expect(await outdated()).toMatchObject({ exitCode: 0, stdout: '' });
  await set(one.path, 'tool');
  expect((await pull()).stderr).toMatch(/^`tool`: 20\S+.* → 20\S+/m);

  // What cannot be asked, or believed, is no newer value.
  await writeFile(at('cache/carport/pins/tool.json'), '{');
  expect(await outdated('tool')).toMatchObject({ exitCode: 6, stdout: '' });
  await rm(at('cache/carport/pins/tool.json'));
  const gone = await outdated('tool');
  expect(gone).toMatchObject({ exitCode: 0, stdout: '', stderr: expect.stringContaining('no such pin') });
  await rm(at('cache'), { recursive: true });
  expect((await outdated('tool')).stdout).toBe('');
});
