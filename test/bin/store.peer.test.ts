import { chmod, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { writeFiles } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

describe('carport store', () => {
  const box = useSandbox();
  const tree = (name: string, files: Parameters<typeof writeFiles>[1]) => writeFiles(box().path('work', name), files);
  const add = async (name: string, ...more: readonly string[]) =>
    (await box().succeed(['store', 'add', name, ...more])).stdout.trim();
  const realPath = (path: string) => box().path('data/carport') + path;

  it('add prints the store path, of a directory, a file and a symlink', async () => {
    await tree('hello-1.0', { 'bin/hello': { script: '#!/bin/sh\n' } });
    await writeFile(box().path('work/file.txt'), 'text');
    await symlink('file.txt', box().path('work/link'));
    const paths = [await add('hello-1.0'), await add('file.txt', '--name', 'text'), await add('./link', '--name', 'l')];
    expect(paths.map((path) => path.replace(/[0-9a-z]{32}/, 'HASH'))).toEqual([
      ...['/nix/store/HASH-hello-1.0', '/nix/store/HASH-text', '/nix/store/HASH-l'],
    ]);
    expect((await lstat(`${realPath(paths[0]!)}/bin/hello`)).mode & 0o777).toBe(0o555);
    expect(await readFile(realPath(paths[1]!), 'utf8')).toBe('text');
    expect((await lstat(realPath(paths[2]!))).isSymbolicLink()).toBe(true);
    expect((await box().succeed(['store', 'ls'])).lines).toEqual([...paths].sort());
  });

  it('add gives the same path for the same content, and says as JSON what it found', async () => {
    await tree('base', { file: 'x' });
    const base = await add('base');
    await tree('user', { see: base });
    const first = JSON.parse((await box().succeed(['store', 'add', 'user', '--json'])).stdout);
    expect(first).toEqual({
      version: 1,
      path: expect.stringMatching(/-user$/),
      narHash: expect.stringMatching(/^sha256-/),
      narSize: expect.any(Number),
      references: [base],
      deriver: null,
      signatures: [],
      ca: expect.stringMatching(/^fixed:r:sha256:/),
      existed: false,
    });
    const again = JSON.parse((await box().succeed(['store', 'add', 'user', '--json'])).stdout);
    expect(again).toEqual({ ...first, existed: true });
  });

  it('add warns of store paths that the content names and the store does not have', async () => {
    await tree('odd', { see: `/nix/store/${'a'.repeat(32)}-elsewhere` });
    const { stderr, stdout } = await box().succeed(['store', 'add', 'odd']);
    expect(stderr).toContain(`warning: it mentions \`/nix/store/${'a'.repeat(32)}-…\``);
    expect(stdout).toMatch(/-odd\n$/);
  });

  it('add refuses names that no store path has', async () => {
    await tree('tree', { file: 'x' });
    for (const name of ['with space', 'a/b', '.', '..', '.-x', '..-x', 'n'.repeat(212), '']) {
      const { exitCode, stdout, stderr } = await box().carport(['store', 'add', 'tree', '--name', name]);
      expect([exitCode, stdout], stderr).toEqual([2, '']);
    }
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
  });

  it('add refuses pipes and sockets', async () => {
    await tree('tree', { file: 'x' });
    await execa('mkfifo', [box().path('work/tree/pipe')]);
    const { exitCode, stderr } = await box().carport(['store', 'add', 'tree']);
    expect(exitCode).toBe(6);
    expect(stderr).toContain('neither file, directory nor symlink');
    expect((await box().succeed(['store', 'ls'])).stdout).toBe('');
  });

  it('ls and info print what is known, also as JSON', async () => {
    await tree('base', { file: 'x' });
    const base = await add('base');
    const { paths: listed } = JSON.parse((await box().succeed(['store', 'ls', '--json'])).stdout);
    expect(listed).toMatchObject([{ path: base, references: [], deriver: null }]);
    const { version, paths } = JSON.parse((await box().succeed(['store', 'info', base, '--json'])).stdout);
    expect([version, paths]).toEqual([1, [{ ...listed[0], realPath: realPath(base) }]]);
    const { lines } = await box().succeed(['store', 'info', base]);
    expect(lines[0]).toBe(`path:            ${base}`);
    expect(lines[1]).toBe(`files:           ${realPath(base)}`);
  });

  it('info takes links and real places, and says what is not valid', async () => {
    await tree('base', { file: 'x' });
    const base = await add('base');
    await symlink(realPath(base), box().path('work/result'));
    for (const what of ['result', './result', realPath(base), `${base}/file`, base.slice('/nix/store/'.length)]) {
      expect((await box().succeed(['store', 'info', what])).stdout, what).toContain(base);
    }
    const none = `/nix/store/${'0'.repeat(32)}-none`;
    const { exitCode, stderr } = await box().carport(['store', 'info', base, none]);
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`\`${none}\` is not valid in`);
    const noLink = await box().carport(['store', 'info', '.']);
    expect([noLink.exitCode, noLink.stderr]).toEqual([2, expect.stringContaining('neither a store path nor a link')]);
  });

  describe('verify', () => {
    it('finds what was changed, lost, or left behind, and exits with 6', async () => {
      await tree('base', { file: 'x' });
      await tree('user', {});
      const base = await add('base');
      await writeFile(box().path('work/user/see'), base);
      const user = await add('user');
      await tree('lost', { file: 'y' });
      const lost = await add('lost');
      await chmod(realPath(base), 0o755);
      await chmod(`${realPath(base)}/file`, 0o644);
      await writeFile(`${realPath(base)}/file`, 'X');
      await rm(realPath(lost), { recursive: true });
      await mkdir(realPath(`/nix/store/${'0'.repeat(32)}-stray`));
      const { exitCode, lines, stderr } = await box().carport(['store', 'verify']);
      expect(exitCode).toBe(6);
      expect(lines.find((line) => line.startsWith(base))).toMatch(/: damaged: its hash is sha256-.*, not sha256-/);
      expect(lines.find((line) => line.startsWith(lost))).toContain(': missing: its files are gone');
      expect(lines).toHaveLength(2);
      expect(stderr).toContain(`note: \`${'0'.repeat(32)}-stray\``);
      expect(stderr).toContain('error[E_INTEGRITY]: 2 problems in');
      expect((await box().carport(['store', 'verify', user])).exitCode).toBe(0);
      const json = await box().carport(['store', 'verify', '--json']);
      expect(JSON.parse(json.stdout)).toMatchObject({ version: 1, checked: 3, problems: [{}, {}] });
    });

    it('finds a reference that is not valid', async () => {
      await tree('base', { file: 'x' });
      const base = await add('base');
      await tree('user', { see: base });
      const user = await add('user');
      await rm(box().path('data/carport/nix/var/carport/info', `${base.slice(11, 43)}.narinfo`));
      const { exitCode, lines } = await box().carport(['store', 'verify']);
      expect(exitCode).toBe(6);
      expect(lines).toEqual([`${user}: incomplete: it refers to \`${base}\`, which is not valid`]);
    });

    it('says that metadata are damaged', async () => {
      await tree('base', { file: 'x' });
      const base = await add('base');
      const file = box().path('data/carport/nix/var/carport/info', `${base.slice(11, 43)}.narinfo`);
      await writeFile(file, 'garbage');
      for (const args of [[], [base]]) {
        const { exitCode, stdout, stderr } = await box().carport(['store', 'verify', ...args]);
        expect(exitCode).toBe(6);
        expect(stdout).toMatch(`${base}: damaged metadata: \`${file}\` cannot be used: `);
        expect(stderr).not.toContain('not registered');
        expect(stderr).toContain('hint: `carport store verify --repair` gives the paths up');
      }
      const gc = await box().carport(['store', 'gc']);
      expect([gc.exitCode, gc.stdout]).toEqual([6, '']);
      expect(gc.stderr).toContain(`the metadata file \`${file}\` is damaged`);
      expect(gc.stderr).toContain('hint: `carport store verify --repair` removes it');
      const repaired = await box().carport(['store', 'verify', '--repair']);
      expect(repaired.lines[1]).toBe(`${base}: given up: pull or add it again`);
      await box().succeed(['store', 'gc']);
      expect(await readdir(box().path('data/carport/nix/store'))).toEqual([]);
    });
  });
});
