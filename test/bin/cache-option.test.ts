import { mkdir, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { useSampleCache } from '../support/sample-cache.js';

describe('the cache that a command works on', () => {
  const sample = useSampleCache();
  const run = (line: string, env: Record<string, string> = {}) => {
    const words = line.split(' ').map((word) => (word === 'CACHE' ? sample().cache : word));
    return sample().shared.carport(words, { env });
  };
  const top = () => sample().samples.top.path;
  const key = () => sample().keyFile;

  it.each(['cache info', 'cache ls', 'cache config', 'cache stats', 'cache gc', 'cache fsck', 'cache erase --dry-run'])(
    'of `%s` is an option, an argument, or what is set',
    async (line) => {
      const said = await run(`${line} CACHE --json`);
      expect([0, 6]).toContain(said.exitCode);
      expect((await run(`${line} --cache CACHE --json`)).exitCode).toBe(said.exitCode);
      expect((await run(`${line} --json`, { CARPORT_CACHE: sample().cache })).exitCode).toBe(said.exitCode);
      const nowhere = await run(line);
      expect([nowhere.exitCode, nowhere.stderr]).toEqual([2, expect.stringContaining('--cache')]);
      expect((await run(`${line} /elsewhere --cache CACHE`)).exitCode).toBe(2);
    },
  );

  it('is told from a path in it', async () => {
    const set = { CARPORT_CACHE: sample().cache };
    const file = `${top()}/share`;
    const listed = await run(`cache ls CACHE ${top()}`);
    expect(listed.exitCode).toBe(0);
    for (const [line, env] of [
      [`cache ls --cache CACHE ${top()}`, {}],
      [`cache ls ${top()}`, set],
      [`cache ls ${top().slice('/nix/store/'.length)}`, set],
      [`cache ls CACHE ${top()}`, { CARPORT_CACHE: '/elsewhere' }],
    ] as const) {
      expect(await run(line, env)).toMatchObject({ exitCode: 0, stdout: listed.stdout });
    }
    expect((await run(`cache ls CACHE ${file}x --cache CACHE`)).exitCode).toBe(2);
    expect((await run('cache cat CACHE')).stderr).toContain('missing required argument `path`');
  });

  it('is that of all commands, under the names of before, too, and once', async () => {
    const options = `--secret-key ${key().file} --allow-unsigned`;
    for (const name of ['--cache', '--to']) {
      expect((await run(`pin set a ${top()} ${name} CACHE --secret-key ${key().file}`)).exitCode).toBe(0);
      expect((await run(`release yank v1 --reason x ${name} CACHE ${options}`)).stderr).toContain('no release');
      expect((await run(`push ${top()} --store ${sample().samples.root} ${name} CACHE ${options}`)).exitCode).toBe(0);
    }
    for (const name of ['--cache', '--from', '--to']) {
      expect((await run(`pin ls ${name} CACHE --json`)).stdout).toContain(top());
      expect((await run(`release ls ${name} CACHE --json`)).exitCode).toBe(0);
    }
    for (const name of ['--cache', '--from']) {
      expect((await run(`pull a ${name} CACHE --trusted-key ${key().publicKey}`)).exitCode).toBe(0);
    }
    for (const line of ['pin ls --cache a --from b', 'pin rm x --cache a --to b', 'push x --to a --cache b']) {
      expect(await run(line)).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('both name the cache') });
    }
  });

  it('is copied by its name or as what is set', async () => {
    const trust = `--trusted-key ${key().publicKey} --dry-run --json`;
    const copied = await run(`cache copy CACHE /mirror ${trust}`);
    expect(copied.exitCode).toBe(0);
    for (const line of ['--from CACHE --to /mirror', '--to /mirror']) {
      const same = await run(`cache copy ${line} ${trust}`, { CARPORT_CACHE: sample().cache });
      expect([same.exitCode, JSON.parse(same.stdout)]).toEqual([0, JSON.parse(copied.stdout)]);
    }
    expect((await run('cache copy CACHE')).stderr).toContain('missing required argument `to`');
  });

  describe('in files', () => {
    beforeAll(async () => {
      const { shared, cache } = sample();
      await mkdir(shared.path('config/carport'), { recursive: true });
      await writeFile(
        shared.path('config/carport/config.toml'),
        `cache = "${cache}"\ntrusted-keys = "${key().publicKey}"\n`,
      );
    });

    it('is written once', async () => {
      expect((await run('pull a')).exitCode).toBe(0);
      expect((await run('pin ls --json')).stdout).toContain(top());
      const lines = (await run('config show')).lines.filter((line) => /^(cache|to|from) /.test(line));
      expect(lines.map((line) => line.split(/ +/)[1])).toEqual([sample().cache, sample().cache, sample().cache]);
    });

    it('stands behind variables and options', async () => {
      expect((await run('pin ls', { CARPORT_FROM: '/elsewhere' })).stderr).toContain('/elsewhere');
      expect((await run('pin ls', { CARPORT_CACHE: '/elsewhere' })).stderr).toContain('/elsewhere');
      expect((await run('pin ls --cache CACHE', { CARPORT_FROM: '/elsewhere' })).exitCode).toBe(0);
    });
  });
});
