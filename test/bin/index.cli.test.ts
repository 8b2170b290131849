import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { loadSecretKeys } from '#bin/settings/keys.js';
import { PROMOTION, YANK } from '#release/documents/kinds.js';
import { PROMOTIONS, versionKey, YANKS } from '#release/layout.js';
import { listed, listedRelease, listingOfYears } from '../index-generator/listings.js';
import { measuring, readMeasured } from '../support/measure.js';
import { putDocument, putRelease } from '../support/releases.js';
import { useSandbox } from '../support/sandbox.js';

/** What an index of releases without signed hashes is made of. */
const FILES = [...['releases/index.json', 'releases/latest/stable.json', '_releases.json', '_releases.html']];

describe('carport index build', () => {
  const box = useSandbox();
  const out = (name = '') => box().path('work/public', name);
  const build = (input: string, ...more: readonly string[]) =>
    box().carport(['index', 'build', '--from-listing', '-', '--out', out(), ...more], { input });

  it('writes the page and the JSON, and prints their names', async () => {
    await writeFile(box().path('work/aws-list.txt'), listedRelease('v1.0.0') + listedRelease('v0.9.0'));
    const ran = await box().succeed(['index', 'build', '--from-listing', 'aws-list.txt', '--out', 'public']);
    expect(ran.lines).toEqual(FILES.map((key) => `public/${key}`));
    expect(ran.stderr).toBe('');
    expect((await readdir(out())).sort()).toEqual(['_releases.html', '_releases.json', 'releases']);
    expect(JSON.parse(await readFile(out('_releases.json'), 'utf8'))[0].builds[0].version).toBe('v1.0.0');
    const page = await readFile(out('_releases.html'), 'utf8');
    expect(page.indexOf('v1.0.0')).toBeGreaterThan(0);
    expect(page.indexOf('v0.9.0')).toBeGreaterThan(page.indexOf('v1.0.0'));
  });

  it('leaves files alone that would not change', async () => {
    await build(listedRelease('v1.0.0'));
    const before = await Promise.all(FILES.map((name) => stat(out(name))));
    const again = await build(listedRelease('v1.0.0'));
    expect([again.exitCode, again.stdout]).toEqual([0, '']);
    expect(again.stderr).toBe('unchanged: 4 files\n');
    const after = await Promise.all(FILES.map((name) => stat(out(name))));
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
    expect((await readdir(out())).sort()).toEqual(['_releases.html', '_releases.json', 'releases']);
  });

  it('says what it leaves out, and goes on', async () => {
    const { exitCode, stderr, lines } = await build(
      listed({ key: '_releases/\x1b[31mstray' }) + listedRelease('v1.0.0'),
    );
    expect([exitCode, lines.length]).toEqual([0, FILES.length]);
    expect(stderr).toBe('warning: `_releases/?[31mstray` is not `_releases/VERSION/TARGET/FILE`, and is left out\n');
  });

  it('says some of many warnings, and all of them in JSON', async () => {
    const strays = Array.from({ length: 3000 }, (_, index) => listed({ key: `_releases/stray-${index}` })).join('');
    const ran = await build(strays + listedRelease('v1.0.0'), '--json');
    const printed = JSON.parse(ran.stdout);
    expect(printed).toMatchObject({
      version: 1,
      written: FILES.map((key) => out(key)),
      ...{ unchanged: [], removed: [] },
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

  it('refuses a heading that is empty', async () => {
    for (const title of ['', ' ']) {
      const { exitCode, stdout, stderr } = await build(listedRelease('v1.0.0'), '--title', title);
      expect([exitCode, stdout]).toEqual([2, '']);
      expect(stderr).toContain('the heading of the page (--title) is empty');
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

  it('refuses to make an index of nothing, unless it is told to', async () => {
    for (const text of ['', '\n', listed({ key: 'nix-cache-info' }), listed({ key: '_releases/stray' })]) {
      const { exitCode, stdout, stderr } = await build(text);
      expect([exitCode, stdout]).toEqual([5, '']);
      expect(stderr).toContain('error[E_NOT_FOUND]: the listing has no release');
      expect(stderr).toContain('--allow-empty');
      await expect(stat(out())).rejects.toThrow('ENOENT');
    }
    expect((await build('', '--allow-empty')).lines).toHaveLength(FILES.length - 1);
    expect(JSON.parse(await readFile(out('releases/index.json'), 'utf8')).releases).toEqual([]);
  });

  it('says where the releases are in a listing that has them elsewhere', async () => {
    const { exitCode, stdout, stderr } = await build(listed({ key: 'pre/_releases/v1.0.0/x/y' }));
    expect([exitCode, stdout]).toEqual([5, '']);
    expect(stderr).toContain('keys below `pre/_releases/` are listed');
    expect(stderr).toContain('error[E_NOT_FOUND]');
  });

  it('removes what an earlier index has left, and nothing else', async () => {
    const address = ['--base-url', 'https://x.example/'];
    await build(listedRelease('v1.0.0') + listedRelease('v1.1.0-rc1'), ...address);
    await mkdir(out('releases/v0.9.0'));
    await mkdir(out('releases/other'));
    await writeFile(out('releases/v0.9.0/SHA256SUMS'), 'old');
    await writeFile(out('releases/other/SHA256SUMS'), 'old');
    for (const name of ['releases/notes.html', 'releases/other/notes', 'SHA256SUMS'])
      await writeFile(out(name), 'mine');
    await mkdir(out('_releases/v1.0.0/x'), { recursive: true });
    await writeFile(out('_releases/v1.0.0/x/y'), 'a build');
    // Neither a link nor what is behind one.
    await mkdir(box().path('work/elsewhere'));
    await writeFile(box().path('work/elsewhere/SHA256SUMS'), 'precious');
    await symlink('../../elsewhere', out('releases/linked'));
    await mkdir(out('releases/v2.0.0'));
    await symlink('../../../elsewhere/SHA256SUMS', out('releases/v2.0.0/SHA256SUMS'));
    const ran = await build(listedRelease('v1.0.0'));
    const removed = ['latest/extra.json', 'other/SHA256SUMS', 'v0.9.0/SHA256SUMS'];
    expect(ran.stderr.trimEnd().split('\n')).toEqual(removed.map((name) => `removed: ${out(`releases/${name}`)}`));
    expect((await readdir(out('releases'))).sort()).toEqual([
      // That no address is given takes no feeds away.
      ...['all.atom', 'feed.atom', 'index.json', 'latest', 'linked', 'notes.html', 'other', 'v2.0.0'],
    ]);
    expect(await readdir(out('releases/v2.0.0'))).toEqual(['SHA256SUMS']);
    expect(await readFile(box().path('work/elsewhere/SHA256SUMS'), 'utf8')).toBe('precious');
    expect((await readdir(out())).sort()).toEqual([
      ...['SHA256SUMS', '_releases', '_releases.html', '_releases.json', 'releases'],
    ]);
    expect(await readdir(out('_releases/v1.0.0/x'))).toEqual(['y']);
    const none = await build('', '--allow-empty', '--json');
    expect(JSON.parse(none.stdout).removed).toEqual([out('releases/latest/stable.json')]);
    expect(await readdir(out('releases'))).not.toContain('latest');
  });

  it('removes nothing behind a link in the place of its directory', async () => {
    await mkdir(out());
    await mkdir(box().path('work/elsewhere/latest'), { recursive: true });
    await writeFile(box().path('work/elsewhere/latest/extra.json'), 'precious');
    await symlink('../elsewhere', out('releases'));
    expect((await build(listedRelease('v1.0.0'))).exitCode).toBe(0);
    expect(await readFile(box().path('work/elsewhere/latest/extra.json'), 'utf8')).toBe('precious');
  });

  it.each(['_releases.html', '_releases.json', 'releases/latest/stable.json'])(
    'names a directory that is in the way of `%s`',
    async (name) => {
      await mkdir(out(`${name}/x`), { recursive: true });
      const { exitCode, stdout, stderr } = await build(listedRelease('v1.0.0'));
      expect([exitCode, stdout]).toEqual([1, '']);
      expect(stderr).toContain(`error[E_IO]: \`${out(name)}\` is a directory`);
      expect((await readdir(out(), { recursive: true })).filter((each) => each.includes('.carport-'))).toEqual([]);
    },
  );

  it('writes nothing outside of its directory, whatever releases are called', async () => {
    const names = ['..', '../..', '/etc', 'a\\b', '.', '\x01', '-rf', 'latest', 'index.json', '~'];
    const lines = names.flatMap((name) => [`${name}/x/y`, `x/${name}/y`, `x/y/${name}`]);
    const before = await readdir(box().path('work'));
    const ran = await build(lines.map((key) => listed({ key: `_releases/${key}` })).join(''));
    expect(ran.exitCode).toBe(0);
    expect(await readdir(box().path('work'))).toEqual([...before, 'public']);
    expect((await readdir(out('releases'))).sort()).toEqual(['index.json', 'latest']);
  });

  it('takes large indexes in little memory', { timeout: 60_000 }, async () => {
    const listing = Array.from({ length: 10_000 }, (_, index) =>
      listedRelease(index.toString(16).padStart(40, '0'), (index % 1000) + 1),
    ).join('');
    const measured = box().path('measured');
    const args = ['index', 'build', '--from-listing', '-', '--out', out()];
    await box().succeed(args, { input: listing, env: measuring(measured) });
    expect((await readMeasured(measured)).maxRss).toBeLessThan(200e6);
    expect(JSON.parse(await readFile(out('releases/index.json'), 'utf8')).releases).toHaveLength(10_000);
    // Neither of the large files is compared by its size alone.
    for (const name of ['_releases.json', 'releases/index.json']) {
      const text = await readFile(out(name), 'utf8');
      const middle = text.indexOf('garage', text.length / 2);
      await writeFile(out(name), `${text.slice(0, middle)}GARAGE${text.slice(middle + 6)}`);
      expect((await build(listing)).lines).toEqual([out(name)]);
      expect(await readFile(out(name), 'utf8')).toBe(text);
    }
  });
});

const sumsOf = (version: string) =>
  ['', 'x86_64-unknown-linux-musl/'].map((directory) => `releases/${version}/${directory}SHA256SUMS`);

describe('carport index build --from', () => {
  const box = useSandbox();
  const bucket = () => `file://${box().path('bucket')}`;
  const out = (name: string) => box().path('work/public', name);
  const index = async () => JSON.parse(await readFile(out('releases/index.json'), 'utf8')).releases;
  const build = (...args: readonly string[]) =>
    box().carport(['index', 'build', '--from', bucket(), '--out', 'public', ...args]);
  const put = async () => {
    const { file, publicKey } = await box().makeKey('test-1');
    const keys = await loadSecretKeys([file]);
    for (const version of ['v1.0.0', 'v1.1.0', 'v1.2.0']) await putRelease(box().path('bucket'), { version, keys });
    const time = '2026-11-02T12:00:00Z';
    const yank = { version: 'v1.1.0', reason: 'loses data', time };
    await putDocument(box().path('bucket'), YANK, versionKey(YANKS, 'v1.1.0'), yank, keys);
    const promotion = { version: 'v1.2.0', from: 'v1.2.0-rc1', time };
    await putDocument(box().path('bucket'), PROMOTION, versionKey(PROMOTIONS, 'v1.2.0'), promotion, keys);
    return { file, publicKey };
  };

  it('makes the index of what a bucket says', async () => {
    const { publicKey } = await put();
    const ran = await build('--trusted-key', publicKey);
    expect(ran.exitCode).toBe(0);
    expect(ran.stderr).toMatch(/^warning: `v1.2.0` is not shown: its promotion .*\n$/);
    expect(ran.lines).toEqual([...['v1.1.0', 'v1.0.0'].flatMap(sumsOf), ...FILES].map((key) => `public/${key}`));
    expect(await index()).toMatchObject([
      { version: 'v1.1.0', state: 'yanked', yanked: { reason: 'loses data' } },
      { version: 'v1.0.0', state: 'available', time: '2026-11-01T12:00:00Z' },
    ]);
    const sums = await readFile(out('releases/v1.0.0/SHA256SUMS'), 'utf8');
    expect(sums).toMatch(/^[0-9a-f]{64} {2}x86_64-unknown-linux-musl\/garage\n$/);
    const latest = JSON.parse(await readFile(out('releases/latest/stable.json'), 'utf8'));
    expect(latest.release.version).toBe('v1.0.0');
  });

  it('believes what its own key has signed, and signs with that', async () => {
    const { file } = await put();
    const ran = await build('--secret-key', file);
    expect(ran.lines).toContain('public/releases/v1.0.0/SHA256SUMS.minisig');
    expect(ran.lines).toContain('public/releases/index.json.minisig');
    expect(await readFile(out('_releases.html'), 'utf8')).toContain('minisign -Vm SHA256SUMS -P RW');
    expect((await build('--secret-key', file)).stderr).toMatch(/^unchanged: 13 files$/m);
  });

  it('believes nobody who is not trusted, and says so', async () => {
    await put();
    const other = await box().makeKey('test-2');
    const ran = await build('--trusted-key', other.publicKey);
    expect([ran.exitCode, ran.lines.length]).toEqual([0, FILES.length]);
    expect(ran.stderr).toContain('no trusted key has signed it');
    expect((await index()).map(({ version, state }: { version: string; state: string }) => [version, state])).toEqual([
      ['v1.2.0', 'available'],
      // A yank that is not believed hides all the same.
      ['v1.1.0', 'yanked'],
      ['v1.0.0', 'available'],
    ]);
    const all = await build('--allow-unsigned');
    expect([all.exitCode, (await index()).length]).toEqual([0, 2]);
  });

  it('does not write over an index that another key has signed, unless that is meant', async () => {
    const { file } = await put();
    await build('--secret-key', file);
    const other = await box().makeKey('test-2');
    const before = await readFile(out('releases/index.json.minisig'), 'utf8');
    for (const args of [['--secret-key', other.file], [], ['--allow-unsigned']]) {
      const refused = await build(...args);
      expect([refused.exitCode, refused.stdout]).toEqual([6, '']);
      expect(refused.stderr).toContain('`releases/index.json.minisig`');
      expect(await readFile(out('releases/index.json.minisig'), 'utf8')).toBe(before);
    }
    const ran = await build('--secret-key', other.file, '--allow-lost-signatures');
    expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringMatching(/^warning: \d+ documents and signatures/)]);
  });

  it('misses what was signed, also in an index that is made elsewhere', async () => {
    const { file, publicKey } = await put();
    await box().succeed(['index', 'publish', '--to', bucket(), '--secret-key', file]);
    const target = 'x86_64-unknown-linux-musl';
    await rm(box().path(`bucket/carport/releases/v1.0.0/${target}.json`));
    await writeFile(box().path(`bucket/_releases/v1.0.0/${target}/garage`), 'evil');
    const ran = await build('--trusted-key', publicKey);
    expect(ran.stderr).toContain(`\`_releases/v1.0.0/${target}/garage\` was signed, and what was signed has gone`);
    expect((await index()).map(({ version }: { version: string }) => version)).toEqual(['v1.1.0']);
    await expect(stat(out('releases/latest/stable.json'))).rejects.toThrow('ENOENT');
  });

  it('lets in nothing that a stranger puts beside what is signed', async () => {
    const { publicKey } = await put();
    await build('--trusted-key', publicKey, '--json');
    const before = await index();
    for (const key of ['v1.0.0/x86_64-unknown-linux-musl/evil', 'v1.0.0/riscv/garage', 'v9.0.0/riscv/garage']) {
      await mkdir(box().path('bucket/_releases', key, '..'), { recursive: true });
      await writeFile(box().path('bucket/_releases', key), 'evil');
    }
    const ran = await build('--trusted-key', publicKey);
    const [added, ...others] = await index();
    expect(others).toEqual(before);
    expect(added).toMatchObject({ version: 'v9.0.0', signed: false });
    expect(ran.stderr.match(/^warning: .*$/gm)).toEqual([
      expect.stringContaining('`v1.2.0` is not shown'),
      expect.stringContaining('`_releases/v1.0.0/riscv/garage` is not signed'),
      expect.stringContaining('`_releases/v1.0.0/x86_64-unknown-linux-musl/evil` is not signed'),
      expect.stringContaining('`v9.0.0` is not signed'),
    ]);
    const latest = JSON.parse(await readFile(out('releases/latest/stable.json'), 'utf8'));
    expect(latest.release).toEqual(before.find(({ version }: { version: string }) => version === 'v1.0.0'));
    expect(await readFile(out('_releases.html'), 'utf8')).toContain('Not signed:');
  });

  it('takes the bucket from the settings, that for reading first', async () => {
    await put();
    const run = (env: Record<string, string>) => box().carport(['index', 'build', '--out', 'public'], { env });
    const nowhere = `file://${box().path('nowhere')}`;
    expect((await run({ CARPORT_FROM: bucket(), CARPORT_TO: nowhere })).exitCode).toBe(0);
    expect((await run({ CARPORT_TO: bucket() })).exitCode).toBe(0);
    const none = await run({});
    expect(none.exitCode).toBe(2);
    expect(none.stderr).toContain('--from');
  });

  it('has settings for all that the page shows', async () => {
    await put();
    await writeFile(
      box().path('work/carport.toml'),
      [
        ...['title = "Garage"', 'base-url = "https://releases.example.org"'],
        ...['forge = "https://git.example.org/x/y"', 'required-targets = ["riscv"]'],
      ].join('\n'),
    );
    expect((await build('--allow-unsigned')).exitCode).toBe(0);
    const page = await readFile(out('_releases.html'), 'utf8');
    expect(page).toContain('<title>Garage</title>');
    expect(page).toContain('https://git.example.org/x/y/src/tag/v1.0.0');
    const [release] = await index();
    expect(release.targets[0].files[0].url).toContain('https://releases.example.org/_releases/v');
    expect(release.missingTargets).toEqual(['riscv']);
    await expect(stat(out('releases/latest/stable.json'))).rejects.toThrow('ENOENT');
  });

  it('refuses two sources, a bucket that has no release, and one that cannot be listed', async () => {
    const both = await build('--from-listing', '-');
    expect([both.exitCode, both.stdout]).toEqual([2, '']);
    const empty = await build();
    expect([empty.exitCode, empty.stderr]).toEqual([5, expect.stringContaining('the bucket has no release')]);
    await expect(stat(out(''))).rejects.toThrow('ENOENT');
    const web = await box().carport(['index', 'build', '--from', 'http://127.0.0.1:9', '--out', 'public']);
    expect([web.exitCode, web.stderr]).toEqual([1, expect.stringContaining('cannot be listed')]);
  });
});
