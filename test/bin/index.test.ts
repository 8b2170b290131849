import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { listed, listedRelease, listingOfYears } from '../index-generator/listings.js';
import { useSandbox } from '../support/sandbox.js';

describe('carport index build', () => {
  const box = useSandbox();
  const out = (name = '') => box().path('work/public', name);
  const build = (input: string, ...more: readonly string[]) =>
    box().carport(['index', 'build', '--from-listing', '-', '--out', out(), ...more], { input });

  it('writes the page and the JSON, and prints their names', async () => {
    await writeFile(box().path('work/aws-list.txt'), listedRelease('v1.0.0') + listedRelease('v0.9.0'));
    const ran = await box().succeed(['index', 'build', '--from-listing', 'aws-list.txt', '--out', 'public']);
    expect(ran.stdout).toBe('public/_releases.json\npublic/_releases.html\n');
    expect(ran.stderr).toBe('');
    expect((await readdir(out())).sort()).toEqual(['_releases.html', '_releases.json']);
    expect(JSON.parse(await readFile(out('_releases.json'), 'utf8'))[0].builds[0].version).toBe('v1.0.0');
    const page = await readFile(out('_releases.html'), 'utf8');
    expect(page.indexOf('v1.0.0')).toBeGreaterThan(0);
    expect(page.indexOf('v0.9.0')).toBeGreaterThan(page.indexOf('v1.0.0'));
  });

  it('leaves files alone that would not change', async () => {
    await build(listedRelease('v1.0.0'));
    const before = await Promise.all(['_releases.json', '_releases.html'].map((name) => stat(out(name))));
    const again = await build(listedRelease('v1.0.0'));
    expect([again.exitCode, again.stdout]).toEqual([0, '']);
    expect(again.stderr).toBe(`unchanged: ${out('_releases.json')}, ${out('_releases.html')}\n`);
    const after = await Promise.all(['_releases.json', '_releases.html'].map((name) => stat(out(name))));
    expect(after.map(({ ino, mtimeMs }) => [ino, mtimeMs])).toEqual(before.map(({ ino, mtimeMs }) => [ino, mtimeMs]));
  });

  it('replaces files that others read as whole ones, and a link by a file', async () => {
    await mkdir(out());
    await writeFile(box().path('work/precious'), 'precious');
    await symlink('../precious', out('_releases.json'));
    await build(listedRelease('v1.0.0'));
    expect(await readFile(box().path('work/precious'), 'utf8')).toBe('precious');
    expect(JSON.parse(await readFile(out('_releases.json'), 'utf8'))).toHaveLength(3);
    const before = await stat(out('_releases.json'));
    await build(listedRelease('v1.0.1'));
    expect((await stat(out('_releases.json'))).ino).not.toBe(before.ino);
    expect((await readdir(out())).sort()).toEqual(['_releases.html', '_releases.json']);
  });

  it('says what it leaves out, and goes on', async () => {
    const { exitCode, stderr, lines } = await build(
      listed({ key: '_releases/\x1b[31mstray' }) + listedRelease('v1.0.0'),
    );
    expect([exitCode, lines.length]).toEqual([0, 2]);
    expect(stderr).toBe(
      'warning: line 1: `_releases/?[31mstray` is not `_releases/VERSION/TARGET/FILE`, and is left out\n',
    );
  });

  it('says some of many warnings, and all of them in JSON', async () => {
    const strays = Array.from({ length: 3000 }, (_, index) => listed({ key: `_releases/stray-${index}` })).join('');
    const ran = await build(strays + listedRelease('v1.0.0'), '--json');
    const printed = JSON.parse(ran.stdout);
    expect(printed).toMatchObject({
      version: 1,
      written: [out('_releases.json'), out('_releases.html')],
      unchanged: [],
    });
    expect(printed.warnings).toHaveLength(3000);
    expect(ran.stderr.trimEnd().split('\n')).toHaveLength(21);
    expect(ran.stderr).toContain('2980 more warnings');
  });

  it('knows stable tags by the pattern of the project', async () => {
    await writeFile(box().path('work/carport.toml'), 'stable-pattern = "release-[0-9]+"\n');
    await build(listedRelease('release-7') + listedRelease('v1.0.0'));
    const [stable] = JSON.parse(await readFile(out('_releases.json'), 'utf8'));
    expect(stable.builds.map(({ version }: { version: string }) => version)).toEqual(['release-7']);
  });

  it('gives addresses below --base-url, with or without a slash at its end', async () => {
    for (const url of ['https://x.example/y', 'https://x.example/y/']) {
      await build(listedRelease('v1.0.0'), '--base-url', url);
      const json = await readFile(out('_releases.json'), 'utf8');
      expect(json).toContain('"url":"https://x.example/y/_releases/v1.0.0/');
    }
  });

  it.each(['x.example', 'ftp://x.example', 'https://user:password@x.example', 'https://x.example/?a', 'javascript:1'])(
    'refuses the base URL `%s`',
    async (url) => {
      const { exitCode, stdout, stderr } = await build(listedRelease('v1.0.0'), '--base-url', url);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('hint: ');
      expect(stderr).not.toContain('password@');
    },
  );

  it("does as Garage's own generator when asked to", async () => {
    await build(listingOfYears(3), '--compat', 'garage');
    const [stable] = JSON.parse(await readFile(out('_releases.json'), 'utf8'));
    const versions = stable.builds.map(({ version }: { version: string }) => version);
    expect(versions.slice(0, 3)).toEqual(['v2.0.0', 'v10203', 'v1.1.0']);
    expect(stable.builds[0].builds[0].url).toMatch(/^https:\/\/garagehq\.deuxfleurs\.fr\/_releases\/v2\.0\.0\//);
  });

  it('fails for a listing that is not there and a directory that cannot be written to', async () => {
    const missing = await box().carport(['index', 'build', '--from-listing', 'missing', '--out', out()]);
    expect([missing.exitCode, missing.stdout]).toEqual([5, '']);
    await writeFile(out(), 'a file');
    expect((await build(listedRelease('v1.0.0'))).exitCode).toBe(1);
    expect(await readFile(out(), 'utf8')).toBe('a file');
  });
});
