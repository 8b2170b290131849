import { lstat, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { withStoreUse } from '#lib/store/own/lock/lock.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { writePulledPin } from '#lib/store/own/pulled-pins.js';
import { writeFiles } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const box = useSandbox();
const root = () => box().path('data/carport');
const add = async (name: string, content: string, ...more: readonly string[]) => {
  await writeFiles(box().path('trees', name), { content });
  return (await box().succeed(['store', 'add', box().path('trees', name), ...more])).stdout.trim();
};
const listed = async () => (await box().succeed(['store', 'ls'])).lines;
const remove = (...args: readonly string[]) => box().carport(['store', 'delete', ...args]);
const isHere = (...names: string[]) =>
  lstat(box().path(...names)).then(
    () => true,
    () => false,
  );

describe('carport store delete --all', () => {
  it('removes every path, out-link and pin, and nothing else', async () => {
    const base = await add('base', 'x');
    const linked = await add('linked', base, '--out-link', 'result');
    await writePulledPin(openOwnStore(root()), {
      ...{ reference: 'toolchain', storePaths: [base], from: '/cache', updatedAt: '2026-11-01T12:00:00Z' },
    });
    // What somebody has put there, or in place of a link.
    await mkdir(`${root()}/nix/store/of-somebody`);
    await add('other', 'y', '--out-link', 'mine');
    await rm(box().path('work/mine'));
    await symlink('result', box().path('work/mine'));

    const before = await listed();
    const refused = await remove('--all');
    expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--dry-run') });
    const dry = await remove('--all', '--dry-run', '--json');
    const plan = JSON.parse(dry.stdout);
    expect(plan).toMatchObject({ version: 1, dryRun: true, storePaths: before, kept: 0 });
    expect(plan.droppedRoots.map(({ name }: { name: string }) => name)).toEqual(
      expect.arrayContaining(['toolchain', box().path('work/result')]),
    );
    expect(await listed()).toEqual(before);
    expect(await isHere('work/result')).toBe(true);

    const ran = await remove('--all', '--yes');
    expect(ran).toMatchObject({ exitCode: 0, lines: before });
    expect(before).toContain(linked);
    expect(await listed()).toEqual([]);
    expect((await box().succeed(['store', 'ls', '--roots'])).lines).toEqual([]);
    expect(await isHere('work/result')).toBe(false);
    expect(await isHere('work/mine')).toBe(true);
    expect(await readdir(`${root()}/nix/store`)).toEqual(['of-somebody']);
    expect(await remove('--all', '--yes')).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('removes nothing while a program runs from it', async () => {
    const path = await add('tool', 'x');
    await withStoreUse(openOwnStore(root()), [path], async () => {
      for (const args of [
        ['--all', '--yes'],
        ['--all', '--dry-run'],
        [path, '--yes'],
      ]) {
        expect(await remove(...args)).toMatchObject({
          exitCode: 75,
          stderr: expect.stringContaining('when it has ended'),
        });
      }
    });
    expect(await listed()).toEqual([path]);
  });

  it('makes nothing where there is no store, and leaves one of Nix alone', async () => {
    expect(await remove('--all', '--yes', '--store', box().path('none'))).toMatchObject({ exitCode: 0, stdout: '' });
    expect(await isHere('none')).toBe(false);
    await mkdir(box().path('nix-root/nix/store/of-nix'), { recursive: true });
    await mkdir(box().path('nix-root/nix/var/nix'), { recursive: true });
    await writeFile(box().path('nix-root/nix/store/of-nix/x'), '');
    await box()
      .succeed(['store', 'add', box().path('trees/tool'), '--store', box().path('nix-root')])
      .catch(() => undefined);
    await remove('--all', '--yes', '--store', box().path('nix-root'));
    expect(await isHere('nix-root/nix/store/of-nix/x')).toBe(true);
  });
});

describe('carport store delete', () => {
  it('removes what is named, unless something needs it', async () => {
    const base = await add('base', 'x');
    const user = await add('user', base);
    const linked = await add('linked', 'y', '--out-link', 'result');
    const other = await add('other', 'z');
    expect(await remove(base, '--yes')).toMatchObject({ exitCode: 75, stderr: expect.stringContaining(user) });
    for (const what of [linked, './result']) {
      expect(await remove(what, '--yes')).toMatchObject({
        exitCode: 75,
        stderr: expect.stringContaining('remove the link'),
      });
    }
    expect(await remove(`/nix/store/${'a'.repeat(32)}-none`, '--yes')).toMatchObject({ exitCode: 5 });
    expect(await remove()).toMatchObject({ exitCode: 2 });
    expect(await remove(base, '--all')).toMatchObject({ exitCode: 2 });
    expect(await remove(base, user, '--yes')).toMatchObject({ exitCode: 0, lines: [base, user].sort() });
    expect(await listed()).toEqual([linked, other].sort());
  });
});
