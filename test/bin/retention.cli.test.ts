import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseSecretKey } from '#lib/signing/key.js';
import { toReleaseTime } from '#release/documents/kinds.js';
import { FILES } from '#release/layout.js';
import { putRelease } from '../support/releases.js';
import { useSandbox } from '../support/sandbox.js';

const DAY = 86_400_000;
const commit = (number: number) => number.toString(16).padStart(40, '0');

describe('release prune and cache gc', () => {
  const box = useSandbox();
  const at = (...names: string[]) => box().path(...names);
  beforeEach(() => mkdir(at('project/.git'), { recursive: true }));
  const project = (text: string) => writeFile(at('project/carport.toml'), text);
  const run = (...args: readonly string[]) => box().carport(args, { cwd: at('project') });

  it('go by the table, the command line before it', async () => {
    const key = await box().makeKey('release-1');
    const keys = [parseSecretKey(await readFile(key.file, 'utf8'))];
    const put = async (version: string, days: number) => {
      const time = new Date(Date.now() - days * DAY);
      const { target } = await putRelease(at('bucket'), { version, keys, time: toReleaseTime(time) });
      await utimes(at('bucket', FILES, version, target, 'garage'), time, time);
    };
    for (const each of [1, 2, 3, 4]) await put(commit(each), 20 + each);
    for (const each of [1, 2, 3]) await put(`v1.0.0-rc${each}`, 50 - each);
    const prune = (...more: readonly string[]) =>
      run('release', 'prune', '--cache', at('bucket'), '--secret-key', key.file, ...more);
    const lines = async (...more: readonly string[]) => {
      const { exitCode, lines: found, stderr } = await prune(...more);
      expect(exitCode, stderr).toBe(0);
      return [...found].sort();
    };

    await project(
      '[retention.stable]\nforever = true\n[retention.development]\nkeep = 2\n[retention.extra]\nkeep = 1\n',
    );
    const extra = ['hide v1.0.0-rc1', 'hide v1.0.0-rc2'];
    expect(await lines()).toEqual([`hide ${commit(3)}`, `hide ${commit(4)}`, ...extra]);
    expect(await lines('--channel', 'extra')).toEqual(extra);
    expect(await lines('--keep', '3')).toEqual([`hide ${commit(4)}`]);
    await project('[retention.development]\nkeep = 2\ndays = 30\n[retention.extra]\nforever = true\n');
    expect(await lines('--keep', '1')).toEqual([]);
    expect(await lines('--keep-within', '0')).toEqual([`hide ${commit(3)}`, `hide ${commit(4)}`]);
    const kept = await prune('--channel', 'extra');
    expect(kept).toMatchObject({ exitCode: 0, stdout: '' });
    expect(kept.stderr).toMatch(/all releases of `extra` stay \(.*carport\.toml:4\)/);
    const json = JSON.parse((await prune('--json', '--apply')).stdout) as object;
    expect(json).toMatchObject({ hidden: [], deleted: [], dryRun: false });
    await project('[retention.development]\nkeep = 2\nforever = true\n');
    expect(await prune()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('carport.toml:2') });
  });

  it('a project that has more of a cache removed is asked about', async () => {
    await mkdir(at('cache'));
    await writeFile(at('cache/nix-cache-info'), 'StoreDir: /nix/store\n');
    const gc = (...more: readonly string[]) => run('cache', 'gc', at('cache'), '--allow-unsigned', ...more);
    await project('[retention.cache]\ndays = 60\n');
    expect((await gc('--apply')).stderr).toContain('younger than 60 days');
    await project('[retention.cache]\ndays = 1\n');
    expect((await gc()).stderr).toContain('younger than 1 days');
    expect(await gc('--apply')).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('carport.toml:1') });
    for (const more of [['--yes'], ['--keep-newer-than', '2d']])
      expect(await gc('--apply', ...more)).toMatchObject({ exitCode: 0 });
    await project('');
    await mkdir(at('home/carport'), { recursive: true });
    await writeFile(at('home/carport/config.toml'), '[retention.cache]\ndays = 3\n');
    const own = await box().carport(['cache', 'gc', at('cache'), '--allow-unsigned', '--apply'], {
      env: { XDG_CONFIG_HOME: at('home') },
    });
    expect(own).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('younger than 3 days') });
  });
});
