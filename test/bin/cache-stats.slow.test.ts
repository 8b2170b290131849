import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CacheStats } from '#cache/stats/stats.js';
import { parseSecretKey } from '#lib/signing/key.js';
import { putRelease } from '../support/releases.js';
import { useSampleCache } from '../support/sample-cache.js';
import { type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const sample = useSampleCache();
const box = useSandbox();
let samples: SampleStore;
let key: KeyFile;
let cache: string;
beforeEach(async () => {
  ({ samples, keyFile: key } = sample());
  cache = await sample().copy(box().path('cache'));
});

const bytesOf = async (directory: string) => {
  const files = await readdir(directory, { recursive: true, withFileTypes: true });
  const sizes = await Promise.all(
    files
      .filter((file) => file.isFile())
      .map(async ({ parentPath, name }) => (await stat(`${parentPath}/${name}`)).size),
  );
  return { objects: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
};
const pin = (name: string, ...paths: readonly string[]) =>
  box().succeed(['pin', 'set', name, ...paths, '--to', cache, '--secret-key', key.file]);

describe('carport cache stats', () => {
  const stats = async (...args: readonly string[]): Promise<CacheStats & { growth: unknown[] }> =>
    JSON.parse((await box().succeed(['cache', 'stats', cache, '--json', ...args])).stdout);
  const addsUp = ({ bytes, roots, shared, unrooted, beside, groups }: CacheStats) => {
    expect(roots.reduce((sum, { alone }) => sum + alone, shared + unrooted + beside)).toBe(bytes);
    expect(Object.values(groups).reduce((sum, group) => sum + group.bytes, 0)).toBe(bytes);
  };

  it('adds up to the bytes of the bucket, with pins, releases and other objects in it', async () => {
    await pin('all', samples.top.path);
    await pin('base', samples.base.path);
    const secret = parseSecretKey(await readFile(key.file, 'utf8'));
    await putRelease(cache, { version: 'v1.0.0', keys: [secret] });
    await writeFile(`${cache}/other`, 'something else');
    await writeFile(`${cache}/nar/0000.nar`, 'of nobody');
    const counted = await stats();
    expect(counted).toMatchObject({ ...(await bytesOf(cache)), paths: samples.paths.length });
    addsUp(counted);
    const [first] = counted.roots;
    expect(first).toMatchObject({ kind: 'pin', name: 'all', paths: samples.paths.length });
    const base = counted.roots.find(({ name }) => name === 'base')!;
    expect(base).toMatchObject({ paths: 1, alone: 0, bytes: counted.shared });
    const files = await bytesOf(`${cache}/_releases`);
    const release = counted.roots.find(({ kind }) => kind === 'release');
    expect(release!.alone).toBe(files.bytes + (await bytesOf(`${cache}/carport/releases`)).bytes);
    expect(counted.orphans).toEqual({ objects: 1, bytes: 9 });
    expect(counted.unrooted).toBe(9);
    expect(counted.groups.others).toEqual({ objects: 1, bytes: 14 });
  });

  it('needs no pins, and no objects', async () => {
    const counted = await stats();
    addsUp(counted);
    expect([counted.roots, counted.shared, counted.beside]).toEqual([[], 0, expect.any(Number)]);
    await box().succeed(['cache', 'init', box().path('empty')]);
    cache = box().path('empty');
    addsUp(await stats());
  });

  it('tells how the cache grows', async () => {
    const first = await stats('--snapshot');
    expect(first.growth).toEqual([]);
    const { growth } = await stats();
    expect(growth).toEqual([
      { time: first.time, objects: first.objects, bytes: first.bytes, paths: first.paths, narSize: first.narSize },
    ]);
    await writeFile(`${cache}/carport/stats/2020-01-01.json`, 'what somebody put there');
    expect((await stats()).growth).toEqual(growth);
  });

  it('tells people and Prometheus, and writes a page', async () => {
    await pin('all', samples.top.path);
    const html = box().path('stats.html');
    const { stdout } = await box().succeed(['cache', 'stats', cache, '--html', html]);
    expect(stdout).toMatch(/^pin all +3 /m);
    expect(await readFile(html, 'utf8')).toMatch(/<svg [^>]*role="img"/);
    const metrics = await box().succeed(['cache', 'stats', cache, '--prometheus']);
    expect(metrics.lines).toContain(`carport_cache_paths{cache="file://${cache}"} ${samples.paths.length}`);
    for (const line of metrics.lines)
      expect(line).toMatch(/^(# (HELP|TYPE) )?carport_cache_[a-z_]+(\{.*\} [0-9.]+$| )/);
  });

  it('says what it cannot count', async () => {
    await pin('all', samples.top.path);
    await writeFile(`${cache}/carport/pins/all.json`, 'damaged');
    const ran = await box().succeed(['cache', 'stats', cache, '--json']);
    expect(ran.stderr).toContain('the pin `all` is damaged, and is not counted');
    await writeFile(`${cache}/${samples.base.path.slice(11, 43)}.narinfo`, 'damaged');
    expect((await box().carport(['cache', 'stats', cache])).exitCode).toBe(6);
    expect((await box().carport(['cache', 'stats', 'http://127.0.0.1:9/'])).exitCode).toBe(1);
  });
});

describe('carport cache page', () => {
  const page = (...args: readonly string[]) =>
    box().carport(['cache', 'page', cache, '--trusted-key', key.publicKey, ...args]);
  const text = () => readFile(`${cache}/index.html`, 'utf8');

  it('tells how the cache is used, and what its pins hold', async () => {
    await pin('tool', samples.top.path);
    expect((await page('--base-url', 'https://nix.example.org', '--title', 'Our <cache>')).exitCode).toBe(0);
    const html = await text();
    for (const part of [
      'extra-substituters = https://nix.example.org',
      key.publicKey.replaceAll('+', '+'),
      samples.top.path,
    ])
      expect(html).toContain(part);
    expect(html).toContain('<title>Our &lt;cache&gt;</title>');
  });

  it('is written when something changes, and only then', async () => {
    expect((await page()).stderr).toContain('is written');
    const before = await snapshot(cache);
    expect((await page()).stderr).toContain('is as it should be');
    expect(await snapshot(cache)).toEqual(before);
    await pin('tool', samples.top.path);
    expect(JSON.parse((await page('--dry-run', '--json')).stdout)).toMatchObject({ changed: true, dryRun: true });
    expect(await text()).not.toContain('tool');
  });

  it('is written with the cache, and anew with a pin, where that is wished', async () => {
    const made = box().path('made');
    const url = ['--base-url', 'https://nix.example.org', '--secret-key', key.file, '--page'];
    const first = await box().succeed(['cache', 'init', made, ...url]);
    expect(first.stderr).toContain('is written');
    const read = () => readFile(`${made}/index.html`, 'utf8');
    expect(await read()).toContain('extra-substituters = https://nix.example.org');
    await box().succeed(['push', samples.top.path, '--store', samples.root, '--to', made, '--secret-key', key.file]);
    const set = ['pin', 'set', 'tool', '--to', made];
    const told = await box().succeed([...set, samples.base.path, '--secret-key', key.file]);
    expect(told.stderr).toContain('--page');
    expect(await read()).not.toContain(samples.base.path);
    expect((await box().succeed([...set, samples.middle.path, ...url])).stderr).toContain('is written');
    expect(await read()).toContain(samples.middle.path);
    await writeFile(`${made}/index.html`, 'mine');
    const refused = await box().carport([...set, samples.top.path, ...url]);
    expect([refused.exitCode, await read()]).toEqual([2, 'mine']);
    const pins = await box().succeed(['pin', 'ls', '--from', made, '--trusted-key', key.publicKey]);
    expect(pins.stdout).toContain(samples.middle.path);
  });

  it('leaves another page alone', async () => {
    await writeFile(`${cache}/index.html`, 'mine');
    expect(await page()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('--replace') });
    expect(await text()).toBe('mine');
    expect((await page('--replace')).exitCode).toBe(0);
    expect(await text()).toContain('A binary cache');
  });
});

describe('carport cache export', () => {
  it('writes tables that others read', async () => {
    await pin('tool', samples.top.path);
    const tables = box().path('tables');
    const { stdout } = await box().succeed(['cache', 'export', cache, '--parquet', tables, '--json']);
    const { rows } = JSON.parse(stdout);
    const { asyncBufferFromFile, parquetReadObjects } = await import('hyparquet');
    const read = async (name: string) =>
      parquetReadObjects({ file: await asyncBufferFromFile(`${tables}/${name}-00000.parquet`) });
    expect(rows).toMatchObject({ paths: samples.paths.length, nars: samples.paths.length, roots: 1 });
    const paths = await read('paths');
    expect(paths.map(({ hash, name }) => `/nix/store/${hash}-${name}`).sort()).toEqual([...samples.paths].sort());
    expect(await read('roots')).toEqual([{ kind: 'pin', name: 'tool', hash: samples.top.path.slice(11, 43) }]);
    expect((await read('references')).length).toBe(rows.references);
  });
});
