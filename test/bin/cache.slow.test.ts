import { readFile, rm, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { createSampleStore, type SampleStore } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('carport cache init', () => {
  const box = useSandbox();
  const info = () => readFile(box().path('cache/nix-cache-info'), 'utf8');

  it('makes a cache and prints the lines for nix.conf', async () => {
    const key = await box().makeKey('cache.example.org-1');
    const url = `file://${box().path('cache')}`;
    const { lines, stderr } = await box().succeed(['cache', 'init', url, '--secret-key', key.file]);
    expect(lines).toEqual([`extra-substituters = ${url}`, `extra-trusted-public-keys = ${key.publicKey}`]);
    expect(stderr).toBe('made the cache; these lines are for `nix.conf`:\n');
    expect(await info()).toBe('StoreDir: /nix/store\n');
  });

  it('takes settings from options before the URL, and keeps what is not said again', async () => {
    const init = (url: string, ...more: readonly string[]) => box().succeed(['cache', 'init', url, ...more]);
    await init(`${box().path('cache')}?priority=20&want-mass-query=1`, '--priority', '30');
    expect(await info()).toBe('StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n');
    const { stderr } = await init(box().path('cache'));
    expect(stderr).toContain('changed the cache');
    expect(await info()).toBe('StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n');
    await init(`${box().path('cache')}?priority=7&want-mass-query=false`);
    expect(await info()).toMatch(/WantMassQuery: 0\nPriority: 7\n/);
  });

  it('tells all as JSON', async () => {
    const key = await box().makeKey('k');
    const args = ['cache', 'init', box().path('cache'), '--json', '--secret-key', key.file];
    const wanted = {
      ...{ version: 1, url: `file://${box().path('cache')}`, created: true, storeDir: '/nix/store' },
      ...{ priority: null, wantMassQuery: null, publicKeys: [key.publicKey] },
    };
    expect(JSON.parse((await box().succeed(args)).stdout)).toEqual(wanted);
    expect(JSON.parse((await box().succeed(args)).stdout)).toEqual({ ...wanted, created: false });
  });

  it('does not take over a cache for another store dir, or a damaged one', async () => {
    await box().succeed(['cache', 'init', box().path('cache')]);
    for (const [text, code] of [
      ['StoreDir: /gnu/store\n', 2],
      ['Priority: high\n', 6],
    ] as const) {
      await writeFile(box().path('cache/nix-cache-info'), text);
      expect((await box().carport(['cache', 'init', box().path('cache')])).exitCode).toBe(code);
      expect(await info()).toBe(text);
    }
  });
});

describe('carport cache', () => {
  const box = useSandbox('all');
  let samples: SampleStore;
  let key: KeyFile;
  let cache: string;
  beforeAll(async () => {
    samples = await createSampleStore(box().root);
    key = await box().makeKey('test-1');
    cache = box().path('cache');
    const args = ['push', samples.top.path, '--store', samples.root, '--to', cache, '--secret-key', key.file];
    await box().succeed(args);
  });

  it('info says what it is and how much it holds', async () => {
    const json = JSON.parse((await box().succeed(['cache', 'info', cache, '--json'])).stdout);
    expect(json).toEqual({
      ...{ version: 1, url: `file://${cache}`, storeDir: '/nix/store', priority: null, wantMassQuery: null },
      ...{ paths: 3, narSize: samples.base.narSize + samples.middle.narSize + samples.top.narSize },
      fileSize: expect.any(Number),
    });
    const { lines } = await box().succeed(['cache', 'info', cache]);
    expect(lines).toContainEqual(expect.stringMatching(/^paths: +3$/));
    expect(lines).toContainEqual(expect.stringMatching(/^priority: +-$/));
  });

  it('ls lists store paths', async () => {
    expect((await box().succeed(['cache', 'ls', cache])).lines).toEqual([...samples.paths].sort());
    const json = JSON.parse((await box().succeed(['cache', 'ls', cache, '--json'])).stdout);
    expect(json).toEqual({ version: 1, paths: [...samples.paths].sort() });
  });

  it('ls -l has sizes: of store paths those of NARs, of files also modes', async () => {
    const { lines } = await box().succeed(['cache', 'ls', '-l', cache]);
    const sizes = new Map(
      lines.map((line) => line.trim().split(/ +/)).map(([nar, file, path]) => [path!, [nar, file]]),
    );
    expect([...sizes.keys()]).toEqual([...samples.paths].sort());
    expect(sizes.get(samples.base.path)).toEqual([String(samples.base.narSize), expect.stringMatching(/^\d+$/)]);
    const { paths, details } = JSON.parse((await box().succeed(['cache', 'ls', cache, '--long', '--json'])).stdout);
    expect(details.map(({ path }: { path: string }) => path)).toEqual(paths);
    expect(details).toContainEqual({
      ...{ path: samples.base.path, narSize: samples.base.narSize },
      fileSize: Number(sizes.get(samples.base.path)![1]),
    });
    const within = await box().succeed(['cache', 'ls', '-l', cache, `${samples.base.path}/lib`]);
    expect(within.lines[1]).toMatch(/^-r--r--r-- +5000 \.\/data$/);
  });

  it('ls lists files of a path, and of a directory in it', async () => {
    const ls = async (what: string) =>
      (await box().succeed(['cache', 'ls', cache, what])).lines.map((line) => line.replace(/ +/g, ' '));
    expect(await ls(samples.base.path)).toEqual([
      'dr-xr-xr-x 0 .',
      '-r--r--r-- 0 ./empty',
      'dr-xr-xr-x 0 ./lib',
      '-r--r--r-- 5000 ./lib/data',
      'lrwxrwxrwx 0 ./lib/link -> data',
    ]);
    const hashPart = samples.base.path.slice(11, 43);
    for (const what of [`${samples.base.path}/lib`, `${hashPart}/lib`, `${samples.base.path.slice(11)}/lib`]) {
      expect(await ls(what)).toHaveLength(3);
    }
    expect(await ls(`${samples.middle.path}/bin/run`)).toEqual([expect.stringMatching(/^-r-xr-xr-x \d+ \.$/)]);
    const json = JSON.parse((await box().succeed(['cache', 'ls', cache, `${samples.base.path}/lib`, '--json'])).stdout);
    expect(json).toMatchObject({ version: 1, root: { type: 'directory', entries: { data: { size: 5000 } } } });
  });

  it('cat prints a file, byte for byte', async () => {
    const args = ['cache', 'cat', cache, `${samples.base.path}/lib/data`, '--trusted-key', key.publicKey];
    const { bytes, stderr } = await box().succeed(args);
    expect(Buffer.from(bytes).equals(Buffer.alloc(5000, 'base data '))).toBe(true);
    expect(stderr).toBe('');
  });

  it.each([
    ['ls', '/none'],
    ['ls', '/lib/data/below'],
    ['ls', '/__proto__'],
    ['cat', '/none'],
    ['cat', '/lib'],
    ['cat', '/lib/link'],
  ])('%s says that `%s` is not there', async (verb, inner) => {
    const more = verb === 'cat' ? ['--trusted-key', key.publicKey] : [];
    const { exitCode, stdout, stderr } = await box().carport([
      'cache',
      verb,
      cache,
      samples.base.path + inner,
      ...more,
    ]);
    expect([exitCode, stdout]).toEqual([5, '']);
    expect(stderr).toContain(samples.base.path + inner);
  });

  it('says what is not a path, and what is no cache', async () => {
    for (const what of ['/etc/passwd', 'result', '', '/nix/store', '/nix/store/short']) {
      expect((await box().carport(['cache', 'ls', cache, what])).exitCode, what).toBe(2);
    }
    for (const args of [['info'], ['ls']]) {
      const { exitCode, stderr } = await box().carport(['cache', ...args, box().path('nowhere')]);
      expect(exitCode).toBe(5);
      expect(stderr).toContain('there is no binary cache at');
    }
    const missing = await box().carport(['cache', 'ls', cache, `/nix/store/${'0'.repeat(32)}-none`]);
    expect(missing.exitCode).toBe(5);
  });

  it('lists a path without its listing, but never a damaged NAR', async () => {
    const before = await box().succeed(['cache', 'ls', cache, samples.top.path]);
    await rm(`${cache}/${samples.top.path.slice(11, 43)}.ls`);
    expect((await box().succeed(['cache', 'ls', cache, samples.top.path])).stdout).toBe(before.stdout);
    const text = await readFile(`${cache}/${samples.top.path.slice(11, 43)}.narinfo`, 'utf8');
    await writeFile(`${cache}/${/URL: (.*)/.exec(text)![1]}`, 'damaged');
    const { exitCode, stdout } = await box().carport(['cache', 'ls', cache, samples.top.path]);
    expect([exitCode, stdout]).toEqual([6, '']);
  });
});
