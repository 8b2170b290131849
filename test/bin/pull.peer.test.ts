import { lstat, mkdir, readdir, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { hashPartOf } from '#lib/nix/store-path.js';
import { createSampleStore, type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

describe('a pull', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let samples: SampleStore;
  let key: KeyFile;
  let cache: string;
  beforeAll(async () => {
    samples = await createSampleStore(shared().root);
    key = await shared().makeKey('test-1');
    cache = shared().path('cache');
    const args = ['push', samples.top.path, '--store', samples.root, '--to', cache, '--secret-key', key.file];
    await shared().succeed(args);
  });
  const store = () => box().path('data/carport');
  const metadataOf = ({ path }: { readonly path: string }) =>
    `${store()}/nix/var/carport/info/${hashPartOf(path)}.narinfo`;
  const pull = (...more: readonly string[]) =>
    box().carport(['pull', samples.top.path, '--from', cache, '--trusted-key', key.publicKey, ...more]);

  it('fetches the closure into the default store, prints it dependencies first, and says what it did', async () => {
    const { exitCode, lines, stderr } = await pull();
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    expect(stderr).toMatch(/^3 paths: 0 already here, 3 to fetch \(.*\)\npulled 3 paths \(.*\), 0 were there\n$/);
    expect(await snapshot(`${store()}/nix/store`)).toEqual(await snapshot(`${samples.root}/nix/store`));
    expect((await box().succeed(['store', 'verify'])).stderr).toBe('3 paths checked, all whole\n');
    expect((await readdir(`${store()}/nix/store`)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('fetches nothing the second time, and changes nothing', async () => {
    await pull();
    const inodes = async () => (await lstat(`${store()}${samples.top.path}`)).ino;
    const before = [await snapshot(store()), await inodes()];
    const { exitCode, lines, stderr } = await pull();
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    expect(stderr).toContain('already here, 0 to fetch');
    expect([await snapshot(store()), await inodes()]).toEqual(before);
  });

  it('counts all that is here, and fetches what is missing below a path that is', async () => {
    expect((await pull()).stderr).toContain('3 paths: 0 already here');
    expect((await pull()).stderr).toContain('3 paths: 3 already here, 0 to fetch');
    await rm(metadataOf(samples.base));
    const verified = await box().carport(['store', 'verify']);
    expect([verified.exitCode, verified.stdout]).toEqual([
      6,
      `${samples.middle.path}: incomplete: it refers to \`${samples.base.path}\`, which is not valid\n`,
    ]);
    const { exitCode, lines, stderr } = await pull();
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    expect(stderr).toContain('3 paths: 2 already here, 1 to fetch');
    expect((await box().succeed(['store', 'verify'])).stderr).toBe('3 paths checked, all whole\n');
  });

  it.each(['', 'garbage\n'])('fetches a path again whose metadata are `%s`', async (content) => {
    await pull();
    for (const info of [samples.middle, samples.top]) await writeFile(metadataOf(info), content);
    const { exitCode, lines, stderr } = await pull();
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    expect(stderr).toContain('3 paths: 1 already here, 2 to fetch');
    expect((await box().succeed(['store', 'verify'])).stderr).toBe('3 paths checked, all whole\n');
    await box().succeed(['store', 'gc']);
    expect(await readdir(`${store()}/nix/store`)).toEqual([]);
  });

  it('mends what a repair has given up', async () => {
    await pull('--out-link', 'result');
    await writeFile(metadataOf(samples.base), '');
    const { exitCode, stdout } = await box().carport(['store', 'verify', '--repair']);
    expect(exitCode).toBe(6);
    const file = metadataOf(samples.base);
    expect(stdout).toBe(
      [
        `${samples.base.path}: damaged metadata: \`${file}\` cannot be used: narinfo: the last line does not end`,
        `${samples.middle.path}: incomplete: it refers to \`${samples.base.path}\`, which is not valid`,
        ...[...samples.paths].sort().map((path) => `${path}: given up: pull or add it again`),
        '',
      ].join('\n'),
    );
    // Nothing says what the base needs.
    expect((await box().carport(['store', 'gc'])).stderr).toContain(`\`${samples.base.path}\` is in use`);
    expect((await pull()).exitCode).toBe(0);
    await box().succeed(['store', 'gc']);
    expect((await box().succeed(['store', 'verify'])).stderr).toBe('3 paths checked, all whole\n');
    expect(await readdir(`${store()}/nix/var/carport/claims`)).toEqual([]);
  });

  it('fetches what is missing of a closure of which a part is here', async () => {
    await box().succeed(['pull', samples.base.path, '--from', cache, '--trusted-key', key.publicKey]);
    const { stderr } = await pull();
    expect(stderr).toContain('3 paths: 1 already here, 2 to fetch');
  });

  it.each([
    ['the base name', (path: string) => path.slice('/nix/store/'.length)],
    ['the hash part', (path: string) => path.slice('/nix/store/'.length, '/nix/store/'.length + 32)],
    ['a file in the path', (path: string) => `${path}/bin/top`],
  ])('takes %s', async (_, what) => {
    const args = ['pull', what(samples.top.path), '--from', cache, '--trusted-key', key.publicKey];
    expect((await box().succeed(args)).lines).toEqual(samples.paths);
  });

  it('changes nothing with --dry-run, and prints what it would fetch', async () => {
    const { exitCode, lines, stderr } = await pull('--dry-run', '--out-link', box().path('result'));
    expect([exitCode, lines]).toEqual([0, samples.paths]);
    expect(stderr).toContain('3 to fetch');
    await expect(lstat(store())).rejects.toThrow('ENOENT');
    await expect(lstat(box().path('result'))).rejects.toThrow('ENOENT');
  });

  it('says that a path is in no cache', async () => {
    const path = `/nix/store/${'0'.repeat(32)}-none`;
    const args = ['pull', path, '--from', cache, '--trusted-key', key.publicKey];
    const { exitCode, stderr } = await box().carport(args);
    expect(exitCode).toBe(5);
    expect(stderr).toContain(`error[E_NOT_FOUND]: \`${path}\` is not in \`file://${cache}\``);
  });

  it('says that there is no cache', async () => {
    const args = ['pull', samples.top.path, '--from', box().path('nowhere'), '--trusted-key', key.publicKey];
    const { exitCode, stderr } = await box().carport(args);
    expect(exitCode).toBe(5);
    expect(stderr).toContain('there is no binary cache at');
  });

  it('refuses a cache for another store dir', async () => {
    const other = box().path('other');
    await mkdir(other);
    await writeFile(`${other}/nix-cache-info`, 'StoreDir: /gnu/store\n');
    const { exitCode, stderr } = await box().carport(['pull', samples.top.path, '--from', other]);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('/gnu/store');
  });

  it('puts a damaged tree of an earlier, killed run right', async () => {
    await mkdir(`${store()}${samples.base.path}`, { recursive: true });
    await writeFile(`${store()}${samples.base.path}/partial`, 'half');
    expect((await pull()).exitCode).toBe(0);
    await box().succeed(['store', 'verify']);
  });

  it('takes a whole tree that was only not registered', async () => {
    await pull();
    await rm(`${store()}/nix/var/carport/info`, { recursive: true });
    const { ino } = await lstat(`${store()}${samples.base.path}`);
    expect((await pull()).exitCode).toBe(0);
    expect((await lstat(`${store()}${samples.base.path}`)).ino).toBe(ino);
    await box().succeed(['store', 'verify']);
  });

  describe('with an out-link', () => {
    const link = () => box().path('links/result');
    const roots = async () => {
      const directory = `${store()}/nix/var/carport/roots`;
      const names = await readdir(directory).catch(() => []);
      return (await Promise.all(names.map((name) => readlink(`${directory}/${name}`)))).sort();
    };

    it('makes it, and the root of it', async () => {
      expect((await pull('--out-link', link())).exitCode).toBe(0);
      expect(await readlink(link())).toBe(store() + samples.top.path);
      expect(await roots()).toEqual([link()]);
    });

    it('makes one for each path, numbered as Nix does', async () => {
      await box().succeed([
        ...['pull', samples.base.path, samples.top.path, '--from', cache, '--trusted-key', key.publicKey],
        ...['--out-link', link()],
      ]);
      expect(await readlink(link())).toBe(store() + samples.base.path);
      expect(await readlink(`${link()}-2`)).toBe(store() + samples.top.path);
      expect(await roots()).toEqual([link(), `${link()}-2`]);
    });

    it('replaces an older out-link', async () => {
      await box().succeed([
        ...['pull', samples.base.path, '--from', cache, '--trusted-key', key.publicKey, '--out-link', link()],
      ]);
      expect((await pull('--out-link', link())).exitCode).toBe(0);
      expect(await readlink(link())).toBe(store() + samples.top.path);
      expect(await roots()).toEqual([link()]);
    });

    it('is made also when everything is here already', async () => {
      await pull();
      expect((await pull('--out-link', link())).exitCode).toBe(0);
      expect(await readlink(link())).toBe(store() + samples.top.path);
    });

    it.each(['a file', 'a directory', 'a link to elsewhere'])('leaves %s alone, and fetches nothing', async (kind) => {
      await mkdir(box().path('links'));
      if (kind === 'a file') await writeFile(link(), 'precious');
      else if (kind === 'a directory') await mkdir(link());
      else await symlink('/etc/passwd', link());
      const { exitCode, stderr } = await pull('--out-link', link());
      expect(exitCode).toBe(2);
      expect(stderr).toContain('is there already and is no out-link');
      expect(stderr).toContain('hint: ');
      await expect(lstat(store())).rejects.toThrow('ENOENT');
      const stats = await lstat(link());
      expect([stats.isFile(), stats.isDirectory(), stats.isSymbolicLink()]).toEqual([
        ...['a file', 'a directory', 'a link to elsewhere'].map((each) => each === kind),
      ]);
    });

    it('says that it cannot be made below a file', async () => {
      await writeFile(box().path('file'), '');
      const { exitCode, stderr } = await pull('--out-link', box().path('file/result'));
      expect(exitCode).toBe(2);
      expect(stderr).toContain('cannot be made');
    });

    it('is followed when it is given as what to pull', async () => {
      await pull('--out-link', link());
      await rename(store(), box().path('moved'));
      await rename(box().path('moved'), store());
      const { lines } = await box().succeed(['pull', link(), '--from', cache, '--trusted-key', key.publicKey]);
      expect(lines).toEqual(samples.paths);
    });
  });
});
