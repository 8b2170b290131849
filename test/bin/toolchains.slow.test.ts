import { access, mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { useSampleCache } from '../support/sample-cache.js';
import type { SampleStore } from '../support/samples.js';
import { type Ran, useSandbox } from '../support/sandbox.js';

const DAY = '\\d{4}-\\d\\d-\\d\\d';
const TIME = `${DAY} \\d\\d:\\d\\d:\\d\\d`;

describe('toolchains of a project', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let samples: SampleStore;
  let cache: string;
  beforeEach(async () => {
    ({ samples } = sample());
    cache = await sample().copy(box().path('cache'));
    await pin('tools', samples.base.path);
    await mkdir(box().path('work/.git'));
    await mkdir(box().path('work/src'));
    await writeProject(`tools = { pin = "tools", cache = "${cache}" }`);
  });
  const writeProject = (lines: string) => writeFile(box().path('work/carport.toml'), `[toolchains]\n${lines}\n`);
  const pin = (name: string, ...paths: readonly string[]) =>
    box().succeed(['pin', 'set', name, ...paths, '--to', cache, '--secret-key', sample().keyFile.file]);
  const trusting = () => ({ CARPORT_TRUSTED_KEYS: sample().keyFile.publicKey });
  /** From below the top of the project, as somebody who trusts the key. */
  const carport = (...args: readonly string[]) => box().carport(args, { env: trusting(), cwd: box().path('work/src') });
  const succeed = async (...args: readonly string[]): Promise<Ran> => {
    const ran = await carport(...args);
    expect([ran.exitCode, ran.stderr]).toEqual([0, expect.any(String)]);
    return ran;
  };
  const lockFile = () => box().path('work/carport.lock');
  const readLock = async () => JSON.parse(await readFile(lockFile(), 'utf8'));
  const refused = async (code: number, args: readonly string[], ...reasons: readonly (string | RegExp)[]) => {
    const { exitCode, stdout, stderr } = await carport(...args);
    expect([exitCode, stdout]).toEqual([code, '']);
    for (const reason of reasons) expect(stderr).toMatch(reason);
    return stderr;
  };

  it('are locked, and pulled as they are locked when the pin has moved on', async () => {
    const locked = await succeed('lock');
    expect(locked.stdout).toMatch(new RegExp(`^tools: tools ${DAY}, new\n$`));
    const text = await readFile(lockFile(), 'utf8');
    const { paths, ...entry } = (await readLock()).toolchains.tools;
    expect(entry).toEqual({ pin: 'tools', cache, since: expect.any(String), updatedAt: expect.any(String) });
    expect(paths).toEqual([{ storePath: samples.base.path, narHash: expect.stringMatching(/^sha256-/) }]);

    await pin('tools', samples.top.path);
    const pulled = await succeed('pull');
    expect(pulled.stdout).toBe(`${samples.base.path}\n`);
    expect(pulled.stderr).toMatch(
      new RegExp(
        `^\`tools\`: the pin \`tools\` has moved on: ${TIME} → ${TIME}; \`carport lock --update tools\` takes it$`,
        'm',
      ),
    );
    expect((await succeed('pull', '--frozen')).stderr).not.toContain('moved on');
    expect((await succeed('lock')).stdout).toMatch(new RegExp(`^tools: tools ${DAY}\n$`));
    expect(await readFile(lockFile(), 'utf8')).toBe(text);

    expect((await succeed('lock', '--update', '--dry-run')).stdout).toMatch(/→/);
    expect(await readFile(lockFile(), 'utf8')).toBe(text);
    const updated = await succeed('lock', '--update', 'tools', '--json');
    expect(JSON.parse(updated.stdout)).toMatchObject({
      version: 1,
      file: lockFile(),
      toolchains: [
        {
          ...{ name: 'tools', change: 'updated', paths: [{ storePath: samples.top.path }] },
          previous: { paths: [{ storePath: samples.base.path }] },
        },
      ],
    });
    expect((await succeed('pull', 'tools')).lines).toContain(samples.top.path);
  });

  it('are roots of the store while the project is there, the old ones no longer', async () => {
    await succeed('lock');
    await succeed('pull');
    const link = box().path('work/.carport/toolchains/tools');
    expect(await readlink(link)).toBe(box().path(`data/carport${samples.base.path}`));
    expect(await readFile(box().path('work/.carport/.gitignore'), 'utf8')).toBe('*\n');
    await succeed('store', 'gc');
    expect((await succeed('store', 'ls')).stdout).toBe(`${samples.base.path}\n`);
    await writeProject(`other = { pin = "tools", cache = "${cache}" }`);
    await succeed('pull');
    expect(await readdir(box().path('work/.carport/toolchains'))).toEqual(['other']);
    await rm(box().path('work/.carport'), { recursive: true });
    await succeed('store', 'gc');
    expect((await succeed('store', 'ls')).stdout).toBe('');
  });

  it('are locked by the first pull, and kept apart by name', async () => {
    await pin('more', samples.top.path, samples.base.path);
    await writeProject(`b = { pin = "more", cache = ["${cache}"] }\na = { pin = "tools", cache = "${cache}" }`);
    expect((await succeed('pull', 'a')).stderr).toMatch(/^`a`: locked `tools` of /m);
    expect(Object.keys((await readLock()).toolchains)).toEqual(['a']);
    await refused(2, ['pull', '--frozen'], /does not match .*carport\.toml`: `b`/, 'carport lock');
    await succeed('pull');
    expect(Object.keys((await readLock()).toolchains)).toEqual(['a', 'b']);
    expect(await readdir(box().path('work/.carport/toolchains'))).toEqual(['a', 'b', 'b~2']);
    await succeed('pull', '--frozen', 'b');
  });

  it.each([
    ['another pin', 'tools = { pin = "more", cache = "CACHE" }'],
    ['another cache', 'tools = { pin = "tools", cache = "/srv/other" }'],
    ['one that is gone', 'others = { pin = "tools", cache = "CACHE" }'],
  ])('are refused with --frozen when the lock is of %s', async (_, line) => {
    await succeed('lock');
    await writeProject(line.replace('CACHE', cache));
    for (const command of ['pull', 'lock']) await refused(2, [command, '--frozen'], 'does not match');
  });

  it('are refused with --frozen without a lock, and nothing is written', async () => {
    for (const command of ['pull', 'lock']) await refused(5, [command, '--frozen'], /there is no .*carport\.lock/);
    await expect(access(lockFile())).rejects.toThrow();
  });

  it('are not trusted for being in a lock', async () => {
    await succeed('lock');
    const options = { cwd: box().path('work') };
    const stranger = await box().carport(['pull'], options);
    expect([stranger.exitCode, stranger.stdout]).toEqual([6, '']);
    expect(stranger.stderr).toContain('is not signed by a trusted key');
    const locking = await box().carport(['lock', '--update'], options);
    expect([locking.exitCode, locking.stderr]).toEqual([6, expect.stringContaining('is not signed by a trusted key')]);
  });

  it('name the lock where it was changed, and the cache where that was', async () => {
    await succeed('lock');
    const good = await readFile(lockFile(), 'utf8');
    const { narHash } = (await readLock()).toolchains.tools.paths[0];
    const changed = `sha256-${Buffer.alloc(32, 7).toString('base64')}`;
    await writeFile(lockFile(), good.replace(narHash, changed));
    const said = await refused(
      6,
      ['pull'],
      'E_INTEGRITY',
      /carport\.lock` has another NAR hash/,
      'lock --update tools',
    );
    expect(said).toContain(`it says ${changed}, and \`file://${cache}\` has ${narHash}, signed by \`test-1\``);

    const key = `${cache}/${samples.base.path.slice(11, 43)}.narinfo`;
    const narInfo = await readFile(key, 'utf8');
    await writeFile(lockFile(), good);
    await writeFile(key, narInfo.replace(/^NarHash: .*$/m, `NarHash: sha256:${'0'.repeat(52)}`));
    await refused(6, ['pull'], 'E_SIGNATURE', /signature of .* by `test-1` is wrong/, `file://${cache}`);

    await rm(key);
    await refused(
      5,
      ['pull'],
      /of the toolchain `tools` is not in/,
      /garbage collection of the cache/,
      'lock --update tools',
    );
    await writeFile(key, narInfo);
    await succeed('pull');
    await writeFile(lockFile(), good.replace(narHash, changed));
    await refused(6, ['pull'], /has another NAR hash/, /the store at/);
  });

  it('do not go back to an older pin than the locked one', async () => {
    await succeed('lock');
    const file = `${cache}/carport/pins/tools.json`;
    const old = await readFile(file, 'utf8');
    await pin('tools', samples.top.path);
    await succeed('lock', '--update');
    await writeFile(file, old);
    const newcomer = { env: { ...trusting(), XDG_STATE_HOME: box().path('other') }, cwd: box().path('work') };
    const back = await box().carport(['lock', '--update'], newcomer);
    expect([back.exitCode, back.stderr]).toEqual([6, expect.stringContaining('older than the locked one')]);
    expect((await box().carport(['lock', '--update', '--allow-rollback'], newcomer)).exitCode).toBe(0);
  });

  describe('of a hostile project', () => {
    it('leads nowhere by links', async () => {
      await succeed('lock');
      await mkdir(box().path('elsewhere'));
      await symlink(box().path('elsewhere'), box().path('work/.carport'));
      await refused(2, ['pull'], /is there, and is no directory/);
      expect(await readdir(box().path('elsewhere'))).toEqual([]);
      const file = box().path('secret');
      await writeFile(file, 'secret text\n');
      await rm(lockFile());
      await symlink(file, lockFile());
      expect(await refused(6, ['pull'], 'is a link')).not.toContain('secret text');
    });

    it('has no say in what the user sets', async () => {
      await mkdir(box().path('config/carport'), { recursive: true });
      await writeFile(box().path('config/carport/config.toml'), '[toolchains]\na = "x"\n');
      await refused(2, ['pull'], /which is a project's/);
    });
  });
});
