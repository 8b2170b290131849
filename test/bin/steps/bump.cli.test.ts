import { chmod, link, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { hashesIn } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';

const box = useSandbox();
const at = (...names: string[]) => box().path('tool', ...names);
const run = (...args: readonly string[]) => box().carport(['release', 'bump', ...args], { cwd: at() });
const project = async (files: string) => {
  await mkdir(at('.git'), { recursive: true });
  await writeFile(at('carport.toml'), `[bump]\nfiles = [${files}]\n`);
};

it('release bump changes all places, and shows it before', async () => {
  await project(
    '"VERSION", {file="pyproject.toml",match=\'version = "{version}"\'}, {file="pyproject.toml",match="tool-{version}.tar"}, {file="package.json",key="version"}, {file="wide.txt",match="über {version}"}',
  );
  await writeFile(at('VERSION'), '\ufeff0.1.0\r\n');
  await chmod(at('VERSION'), 0o754);
  const python = Buffer.from(
    'version = "0.1.0"\r\ndeps = "0x1y0"\r\npython = "3.8"\r\nurl = "tool-0.1.0.tar"\r\nn = "\xff\xfe"',
    'latin1',
  );
  await mkdir(at('deep'));
  await writeFile(at('deep/real.toml'), python);
  await symlink('deep/real.toml', at('pyproject.toml'));
  await writeFile(at('package.json'), '{ "dependencies": {"x": "0.1.0"},\n  "version": "0.1.0" }');
  await writeFile(at('wide.txt'), Buffer.from('\ufeffüber 0.1.0 und', 'utf16le').swap16());
  const before = await hashesIn(at());

  const planned = await run('--part', 'minor', '--dry-run');
  expect(planned.exitCode, planned.stderr).toBe(0);
  expect(planned.stdout).toContain('--- a/VERSION\n+++ b/VERSION\n@@ -1,1 +1,1 @@\n');
  expect(await run('--part', 'minor')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('`--yes`') });
  expect(await hashesIn(at())).toEqual(before);

  const json = JSON.parse((await run('--part', 'minor', '--yes', '--json')).stdout) as object;
  expect(json).toMatchObject({ version: 1, from: '0.1.0', to: '0.2.0', dryRun: false });
  expect(await readFile(at('VERSION'), 'utf8')).toBe('\ufeff0.2.0\r\n');
  expect((await stat(at('VERSION'))).mode & 0o777).toBe(0o754);
  expect((await lstat(at('pyproject.toml'))).isSymbolicLink()).toBe(true);
  const expected = python.toString('latin1').replaceAll('0.1.0', '0.2.0');
  expect((await readFile(at('deep/real.toml'))).toString('latin1')).toBe(expected);
  expect(await readFile(at('package.json'), 'utf8')).toBe('{ "dependencies": {"x": "0.1.0"},\n  "version": "0.2.0" }');
  expect((await readFile(at('wide.txt'))).swap16().toString('utf16le')).toBe('\ufeffüber 0.2.0 und');

  // A run that was killed between two files is completed.
  await writeFile(at('VERSION'), '0.3.0\n');
  expect(await run('--yes')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('not the same everywhere') });
  expect(await run('--to', 'v0.3.0', '--yes', '-q')).toMatchObject({ exitCode: 0, stdout: '' });
  expect(await readFile(at('package.json'), 'utf8')).toContain('"version": "0.3.0"');
  expect((await run('--to', '0.3.0', '--yes')).stderr).toContain('it is 0.3.0 everywhere already');
});

it('release bump prints what git applies', async () => {
  await project('{file="a b.txt",match="v={version};"}');
  await writeFile(at('a b.txt'), `${'x\r\n'.repeat(9)}v=1.9;\r\nend`);
  const { bytes } = await run('--part', 'last', '--dry-run');
  await execa('git', ['apply', '-'], { cwd: at(), input: bytes, env: { GIT_CEILING_DIRECTORIES: box().path() } });
  expect(await readFile(at('a b.txt'), 'utf8')).toBe(`${'x\r\n'.repeat(9)}v=1.10;\r\nend`);
});

it('release bump refuses what cannot be meant, and changes nothing', async () => {
  await mkdir(at('sub'), { recursive: true });
  await writeFile(at('VERSION'), '1.0.0\n');
  await writeFile(at('twice'), 'v 1.0.0, v 1.0.0\n');
  await writeFile(at('other'), '2.0.0\n');
  await writeFile(at('words'), 'no version\n');
  await writeFile(box().path('outside'), '1.0.0\n');
  await symlink('../outside', at('link'));
  await symlink('VERSION', at('inner'));
  await link(at('VERSION'), at('hard'));
  const wrong: readonly (readonly [string, string])[] = [
    ['"VERSION", {file="twice",match="v {version}"}', '2 times, and not once'],
    ['"VERSION", "other"', '`VERSION` has 1.0.0, `other` has 2.0.0'],
    ['"VERSION", "words"', '`words` does not have a version'],
    ['"VERSION", {file="twice",match="w {version}"}', 'does not have the text'],
    ['"VERSION", "missing"', 'there is no file `missing`'],
    ['"../outside"', 'no file of the project'],
    ['"/etc/hostname"', 'no file of the project'],
    ['".git/config"', 'no file of the project'],
    ['"link"', 'leads outside the project'],
    ['"VERSION", "inner"', 'by another name'],
    ['"sub"', 'is no file'],
    ['{file="VERSION",match="version"}', '`{version}` in it, once'],
    ['{file="VERSION",match="{version}",key="x"}', 'both `match` and `key`'],
    ['{file="VERSION",matches="{version}"}', 'unknown field `matches`'],
    ['', 'where the version stands'],
  ];
  for (const [files, why] of wrong) {
    await project(files);
    const before = await hashesIn(at());
    const ran = await run('--to', '3.0.0', '--yes');
    expect([ran.exitCode > 0, ran.stderr], files).toEqual([true, expect.stringContaining(why)]);
    expect(await hashesIn(at())).toEqual(before);
  }
  await project('"VERSION"');
  for (const [args, why] of [
    [['--to', '1 2', '--yes'], 'is no version'],
    [['--to', '1.1', '--part', 'major', '--yes'], 'say different things'],
    [['--part', 'pico'], 'Allowed choices'],
  ] as const) {
    expect(await run(...args)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining(why) });
  }
  // Where one cannot be written, none is.
  await writeFile(at('sub/last'), '1.0.0\n');
  await project('"VERSION", "sub/last"');
  if (process.getuid?.() !== 0) {
    await chmod(at('sub'), 0o555);
    expect(await run('--yes')).toMatchObject({ exitCode: 1 });
    expect(await readFile(at('VERSION'), 'utf8')).toBe('1.0.0\n');
    await chmod(at('sub'), 0o755);
  }
  expect(await box().carport(['release', 'bump'], { cwd: box().path() })).toMatchObject({
    ...{ exitCode: 2, stderr: expect.stringContaining('`[bump]`') },
  });
});
