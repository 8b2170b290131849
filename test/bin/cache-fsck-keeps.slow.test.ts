import { execFileSync } from 'node:child_process';
import { chmod, chown, copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { useSampleCache } from '../support/sample-cache.js';
import { ageNars, copyCache, type SampleStore, snapshot } from '../support/samples.js';
import { CARPORT, type KeyFile, useSandbox } from '../support/sandbox.js';

const AS_NOBODY = ['--reuid=65534', '--regid=65534', '--clear-groups'];
const canBecomeNobody =
  process.getuid?.() === 0 &&
  (await execa('/usr/bin/setpriv', [...AS_NOBODY, 'test', '-r', CARPORT], { reject: false })).exitCode === 0;

describe('a repair of a cache', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let cache: string;
  let mirror: string;
  const narInfo = (path: string) => `${cache}/${path.slice(11, 43)}.narinfo`;
  const nar = async (path: string) => `${cache}/${parseNarInfo(await readFile(narInfo(path), 'latin1')).url}`;
  beforeEach(async () => {
    ({ samples, keyFile: key } = sample());
    cache = await sample().copy(box().path('cache'));
    const pin = (name: string, path: string) =>
      box().succeed(['pin', 'set', name, path, '--to', cache, '--secret-key', key.file]);
    await pin('tool', samples.top.path);
    await pin('other', samples.base.path);
    const id = `sha256:${'1'.repeat(64)}!out`;
    const outPath = basename(samples.base.path);
    await mkdir(`${cache}/realisations`);
    await writeFile(
      `${cache}/realisations/${id}.doi`,
      JSON.stringify({ id, outPath, dependentRealisations: {}, signatures: [] }),
    );
    mirror = await copyCache(cache, box().path('mirror'));
  });
  const fsck = (...args: readonly string[]) =>
    box().carport(['cache', 'fsck', cache, '--trusted-key', key.publicKey, '--store', box().path('none'), ...args]);
  const whole = () => snapshot(mirror);

  it('gives NARs under the names of others their own, without a source', async () => {
    const [a, b, c] = [await nar(samples.base.path), await nar(samples.middle.path), await nar(samples.top.path)];
    await rename(a, `${cache}/t`);
    await rename(b, a);
    await rename(`${cache}/t`, b);
    await rename(c, `${cache}/nar/${'z'.repeat(52)}.nar.xz`);
    await ageNars(cache);
    const repair = await fsck('--repair', '--contents');
    expect(repair.exitCode, repair.stdout + repair.stderr).toBe(0);
    expect(await snapshot(cache)).toEqual(await whole());
  });

  it('takes from another cache what was written over, and narinfos that are gone', async () => {
    await copyFile(`${cache}/carport/pins/other.json`, `${cache}/carport/pins/tool.json`);
    for (const { path } of [samples.base, samples.middle, samples.top]) await rm(narInfo(path));
    await rm(`${cache}/${samples.base.path.slice(11, 43)}.ls`);
    await writeFile(`${cache}/realisations/sha256:${'1'.repeat(64)}!out.doi`, '{}');
    const repair = await fsck('--repair', '--from', mirror);
    expect(repair.exitCode, repair.stdout + repair.stderr).toBe(0);
    expect(await snapshot(cache)).toEqual(await whole());
  });

  it('leaves a directory with something in it, and what misses that file, and mends the rest', async () => {
    const file = await nar(samples.middle.path);
    await rm(file);
    await mkdir(file);
    await writeFile(`${file}/keep`, 'x');
    const base = await nar(samples.base.path);
    await rm(base);
    execFileSync('mkfifo', [base]);
    const repair = await fsck('--repair', '--from', mirror);
    expect([repair.exitCode, repair.stdout]).toEqual([6, expect.stringContaining('refused')]);
    const after = await snapshot(cache);
    const expected = Object.entries(await whole()).filter(([name]) => !file.endsWith(name));
    expect(after).toEqual(expect.objectContaining(Object.fromEntries(expected)));
    expect(await readFile(`${file}/keep`, 'utf8')).toBe('x');
    expect((await fsck('--repair')).exitCode).toBe(6);
    expect(await snapshot(cache)).toEqual(after);
  });

  it('tells of a file in place of a directory', async () => {
    await writeFile(box().path('file'), '');
    const ran = await box().carport(['cache', 'fsck', box().path('file'), '--repair']);
    expect([ran.exitCode, ran.stderr]).toEqual([5, expect.stringContaining('is a file')]);
  });

  it.runIf(canBecomeNobody)('checks what it may read, and removes nothing for what it may not', async () => {
    await chmod(box().root, 0o755);
    const asNobody = async (...args: readonly string[]) => {
      const command = ['cache', 'fsck', cache, '--trusted-key', key.publicKey, ...args];
      return execa('/usr/bin/setpriv', [...AS_NOBODY, process.execPath, CARPORT, ...command], {
        ...{ cwd: '/', env: { PATH: box().env.PATH!, HOME: '/nonexistent', NO_COLOR: '1' } },
        ...{ extendEnv: false, reject: false },
      });
    };
    const readOnly = await asNobody();
    expect([readOnly.exitCode, readOnly.stdout], readOnly.stderr).toEqual([0, '']);
    expect(await snapshot(cache)).toEqual(await whole());
    const narInfos = [narInfo(samples.base.path), narInfo(samples.middle.path)];
    execFileSync('chown', ['-R', '65534:65534', cache]);
    const closed = [`${cache}/nar`, `${cache}/carport/pins`, ...narInfos];
    for (const path of closed) {
      await chown(path, 0, 0);
      await chmod(path, path.endsWith('.narinfo') ? 0 : 0o700);
    }
    const before = Object.keys(await snapshot(cache));
    const ran = await asNobody();
    expect(ran.exitCode, ran.stderr).toBe(6);
    for (const path of closed) expect(ran.stdout).toContain(`unreadable \`${path.slice(cache.length + 1)}\``);
    const faults = ran.stdout.split('\n').filter((line) => line.startsWith('broken')).length;
    expect(ran.stderr).toContain(`checked 3 paths: ${faults} faults`);
    expect(ran.stdout).not.toContain('orphaned');
    const repair = await asNobody('--repair', '--store', `${dirname(cache)}/none`);
    expect([repair.exitCode, repair.stdout]).toEqual([6, expect.not.stringContaining('removed')]);
    expect(Object.keys(await snapshot(cache))).toEqual(expect.arrayContaining(before));
  });
});
