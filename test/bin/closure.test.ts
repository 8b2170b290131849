import { readFile, rm, symlink } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAdder } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

describe('carport closure', () => {
  const box = useSandbox('all');
  const paths: Record<'base' | 'left' | 'right' | 'top', string> = { base: '', left: '', right: '', top: '' };
  const narSizes: Record<string, number> = {};
  beforeAll(async () => {
    const add = createAdder(box().path('store'), box().path('trees'));
    const make = async (name: keyof typeof paths, files: Record<string, string>) => {
      const { path, narSize } = await add(name, files);
      paths[name] = path;
      narSizes[path] = narSize;
    };
    await make('base', { file: 'x'.repeat(3000) });
    await make('left', { see: paths.base });
    await make('right', { see: paths.base, more: 'y'.repeat(2000) });
    await make('top', { see: `${paths.left} ${paths.right}` });
    await add.close();
    await box().succeed(['push', paths.top, '--store', box().path('store'), '--to', box().path('cache')]);
    await symlink(box().path('store') + paths.top, box().path('work/result'));
  });
  const closure = (...args: readonly string[]) => box().carport(['closure', ...args, '--store', box().path('store')]);

  it('prints dependencies first, of a path or a link, from a store or a cache', async () => {
    for (const lines of [
      (await closure(paths.top)).lines,
      (await closure('./result')).lines,
      (await box().succeed(['closure', paths.top, '--from', box().path('cache')])).lines,
    ]) {
      expect(lines[0]).toBe(paths.base);
      expect(lines.at(-1)).toBe(paths.top);
      expect([...lines].sort()).toEqual(Object.values(paths).sort());
    }
    expect((await closure(paths.left)).lines).toEqual([paths.base, paths.left]);
    expect((await closure(paths.base, paths.base)).lines).toEqual([paths.base]);
  });

  it('draws a tree in which nothing is drawn twice', async () => {
    const [first, second] = [paths.left, paths.right].sort() as [string, string];
    expect((await closure(paths.top, '--tree')).lines).toEqual([
      paths.top,
      `+-- ${first}`,
      `|   \`-- ${paths.base}`,
      `\`-- ${second}`,
      `    \`-- ${paths.base}`,
    ]);
    const twice = (await closure(paths.left, paths.top, '--tree')).lines;
    expect(twice).toContainEqual(expect.stringMatching(new RegExp(`-- ${paths.left} \\[above\\]$`)));
  });

  it('says why a path is in it', async () => {
    const { lines } = await closure(paths.top, '--why', paths.base);
    expect([lines[0], lines.at(-1)]).toEqual([paths.top, `    ${paths.base}`]);
    expect(lines).toHaveLength(3);
    const json = JSON.parse((await closure(paths.top, '--why', paths.base, '--json')).stdout);
    expect(json).toEqual({ version: 1, chain: lines.map((line) => line.trim()) });
    const { exitCode, stderr } = await closure(paths.left, '--why', paths.right);
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`\`${paths.right}\` is not in the closure`);
  });

  it('tells sizes: own, of the closure, and what each alone adds', async () => {
    const { roots, paths: infos } = JSON.parse((await closure(paths.top, '--json')).stdout);
    expect(roots).toEqual([paths.top]);
    const { base, left, right, top } = paths;
    const of = (path: string) => infos.find((info: { path: string }) => info.path === path);
    expect(of(top)).toMatchObject({
      narSize: narSizes[top],
      closureSize: narSizes[base]! + narSizes[left]! + narSizes[right]! + narSizes[top]!,
      references: [left, right].sort(),
      deriver: null,
      ca: expect.stringContaining('fixed:r:sha256:'),
    });
    expect(of(left)).toMatchObject({ closureSize: narSizes[base]! + narSizes[left]!, addedSize: narSizes[left]! });
    expect(of(base)).toMatchObject({ closureSize: narSizes[base]!, addedSize: narSizes[base]!, references: [] });
    const { lines } = await closure(paths.top, '--sizes');
    expect(lines).toHaveLength(4);
    for (const line of lines)
      expect(line).toMatch(/^ +\d+(\.\d)? (Ki)?B +\d+(\.\d)? KiB +\d+(\.\d)? (Ki)?B {2}\/nix\/store\//);
  });

  it('says what is not there', async () => {
    const none = `/nix/store/${'0'.repeat(32)}-none`;
    for (const args of [[none], [paths.top, none]]) {
      const { exitCode, stdout, stderr } = await closure(...args);
      expect([exitCode, stdout]).toEqual([5, '']);
      expect(stderr).toContain(none);
    }
    expect((await closure('./missing')).exitCode).toBe(5);
    expect((await closure('.')).exitCode).toBe(2);
    const inCache = await box().carport(['closure', none, '--from', box().path('cache')]);
    expect(inCache.exitCode).toBe(5);
    expect(inCache.stderr).toContain(`\`${none}\` is not in \`file://`);
    expect(inCache.stderr).toContain('hint: check the path');
  });

  it('says that a store or a cache is not complete', async () => {
    const narInfo = box().path('cache', `${paths.base.slice(11, 43)}.narinfo`);
    const text = await readFile(narInfo);
    await rm(narInfo);
    const { exitCode, stderr } = await box().carport(['closure', paths.top, '--from', box().path('cache')]);
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`\`${paths.base}\` is not in \`file://`);
    expect(stderr).toMatch(/because `.*-(left|right)` refers to it/);
    expect(stderr).toContain('--check-all');
    expect(text.length).toBeGreaterThan(100);
  });
});
