import { chmod, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashPartOf } from '#lib/nix/store-path.js';
import { parsePublicKey } from '#lib/signing/key.js';
import { verifyPath } from '#lib/signing/signature.js';
import { createSampleStore, type SampleStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

describe('a push', () => {
  const shared = useSandbox('all');
  const box = useSandbox();
  let store: SampleStore;
  let key: KeyFile;
  let cache: string;
  beforeAll(async () => {
    store = await createSampleStore(shared().root);
  });
  beforeEach(async () => {
    key = await box().makeKey('test-1');
    cache = box().path('cache');
  });
  const push = (...more: readonly string[]) =>
    box().carport(['push', store.top.path, '--store', store.root, '--to', cache, ...more]);
  const isSigned = async (path: string, { publicKey }: KeyFile) =>
    verifyPath((await narInfosOf(cache)).get(path)!, [parsePublicKey(publicKey)]).state === 'valid';

  it('writes the closure, prints it dependencies first, and says what it did', async () => {
    const { exitCode, lines, stderr } = await push('--secret-key', key.file);
    expect(exitCode).toBe(0);
    expect(lines).toEqual(store.paths);
    expect(stderr).toMatch(
      /^3 paths: 0 already cached, 3 to upload \(.* KiB\)\npushed 3 paths \(.*\), 0 were there\n$/,
    );
    expect([...(await narInfosOf(cache)).keys()].sort()).toEqual([...store.paths].sort());
    expect(await faultsOf(cache)).toEqual([]);
    for (const path of store.paths) expect(await isSigned(path, key)).toBe(true);
    expect((await snapshot(cache))['nix-cache-info']).toBe('StoreDir: /nix/store\n');
  });

  it('leaves nothing but the cache in the directory', async () => {
    await push('--secret-key', key.file);
    const names = Object.keys(await snapshot(cache)).map((name) => name.replace(/[0-9a-z]{32,52}/, 'HASH'));
    const each = ['HASH.ls', 'HASH.narinfo', 'nar/HASH.nar.zst'];
    expect(names.sort()).toEqual([...each, ...each, ...each, 'nix-cache-info'].sort());
  });

  it('sends nothing the second time, and changes no byte', async () => {
    await push('--secret-key', key.file);
    const before = await snapshot(cache);
    const { exitCode, lines, stderr } = await push('--secret-key', key.file);
    expect([exitCode, lines]).toEqual([0, store.paths]);
    expect(stderr).toContain('3 paths: 3 already cached, 0 to upload');
    expect(await snapshot(cache)).toEqual(before);
  });

  it('writes the same bytes for the same store, whatever the number of threads', async () => {
    await push('--secret-key', key.file, '--jobs', '1');
    const first = await snapshot(cache);
    await rm(cache, { recursive: true });
    await push('--secret-key', key.file, '--jobs', '8');
    expect(await snapshot(cache)).toEqual(first);
  });

  it('sends what is missing of a closure of which a part is there', async () => {
    await box().succeed(['push', store.base.path, '--store', store.root, '--to', cache, '--secret-key', key.file]);
    const { stderr } = await push('--secret-key', key.file);
    expect(stderr).toContain('3 paths: 1 already cached, 2 to upload');
    expect(await faultsOf(cache)).toEqual([]);
  });

  it('adds the signature of a second key to what is there, without sending it again', async () => {
    await push('--secret-key', key.file);
    const nars = async () => Object.entries(await snapshot(cache)).filter(([name]) => !name.endsWith('.narinfo'));
    const before = await nars();
    const second = await box().makeKey('test-2');
    const { stderr } = await push('--secret-key', second.file);
    expect(stderr).toContain('0 to upload');
    expect(stderr).toContain('3 signed');
    for (const path of store.paths) {
      expect(await isSigned(path, key)).toBe(true);
      expect(await isSigned(path, second)).toBe(true);
    }
    expect(await nars()).toEqual(before);
    expect((await push('--secret-key', second.file)).stderr).not.toContain('signed');
  });

  it('signs with several keys at once, of options and of the URL', async () => {
    const [second, third] = [await box().makeKey('test-2'), await box().makeKey('test-3')];
    const to = `file://${cache}?secret-key=${third.file}`;
    await box().succeed([
      ...['push', store.base.path, '--store', store.root, '--to', to],
      ...['--secret-key', key.file, '--secret-key', second.file],
    ]);
    for (const each of [key, second, third]) expect(await isSigned(store.base.path, each)).toBe(true);
  });

  it('replaces a wrong signature under the name of its key', async () => {
    const other = await box().makeKey('other');
    await push('--secret-key', other.file);
    const name = `${cache}/${hashPartOf(store.base.path)}.narinfo`;
    const text = await readFile(name, 'utf8');
    await writeFile(name, text.replace('Sig: other:', 'Sig: test-1:'));
    expect(await isSigned(store.base.path, key)).toBe(false);
    await push('--secret-key', key.file);
    expect(await isSigned(store.base.path, key)).toBe(true);
    expect((await readFile(name, 'utf8')).match(/^Sig: test-1:/gm)).toHaveLength(1);
  });

  it('changes nothing with --dry-run, and prints what it would send', async () => {
    const dry = await push('--dry-run', '--secret-key', key.file);
    expect([dry.exitCode, dry.lines]).toEqual([0, store.paths]);
    await expect(readFile(`${cache}/nix-cache-info`)).rejects.toThrow('ENOENT');
    await box().succeed(['push', store.base.path, '--store', store.root, '--to', cache]);
    const before = await snapshot(cache);
    const { lines, stderr } = await push('--dry-run');
    expect(lines).toEqual([store.middle.path, store.top.path]);
    expect(stderr).toContain('2 to upload');
    expect(await snapshot(cache)).toEqual(before);
  });

  it('warns when nothing signs what it sends', async () => {
    const { exitCode, stderr } = await push();
    expect(exitCode).toBe(0);
    expect(stderr).toContain('warning: nothing is signed: give `--secret-key`');
    expect((await push()).stderr).not.toContain('warning');
  });

  it('sends the paths alone with --closure none, if what they refer to is there', async () => {
    const refused = await push('--closure', 'none');
    expect(refused.exitCode).toBe(5);
    expect(refused.stderr).toContain(`\`${store.top.path}\` refers to \`${store.middle.path}\``);
    expect(refused.stderr).toContain('hint: push the whole closure');
    expect(await narInfosOf(cache)).toEqual(new Map());
    await box().succeed(['push', store.middle.path, '--store', store.root, '--to', cache]);
    const { exitCode, lines } = await push('--closure', 'none');
    expect([exitCode, lines]).toEqual([0, [store.top.path]]);
    expect(await faultsOf(cache)).toEqual([]);
  });

  it.each(['zstd', 'xz', 'none'])('takes the compression %s from an option, or from the URL', async (compression) => {
    await push('--compression', compression);
    const url = box().path('by-url');
    const to = `file://${url}?compression=${compression}`;
    await box().succeed(['push', store.top.path, '--store', store.root, '--to', to]);
    expect(await snapshot(url)).toEqual(await snapshot(cache));
    for (const info of (await narInfosOf(cache)).values()) {
      expect(info.compression).toBe(compression);
      expect(info.url).toMatch({ zstd: /\.nar\.zst$/, xz: /\.nar\.xz$/, none: /\.nar$/ }[compression]!);
    }
    expect(await faultsOf(cache)).toEqual([]);
  });

  it('writes no listings when told so, by option or URL', async () => {
    const listings = async () => Object.keys(await snapshot(cache)).filter((name) => name.endsWith('.ls'));
    await push('--no-listing');
    expect(await listings()).toEqual([]);
    await rm(cache, { recursive: true });
    await box().succeed(['push', store.top.path, '--store', store.root, '--to', `${cache}?write-nar-listing=false`]);
    expect(await listings()).toEqual([]);
    await rm(cache, { recursive: true });
    await push();
    expect(await listings()).toHaveLength(3);
  });

  describe('with --check-all', () => {
    beforeEach(async () => {
      await push('--secret-key', key.file);
    });

    it('finds nothing to do in a cache that is whole', async () => {
      const before = await snapshot(cache);
      expect((await push('--check-all', '--secret-key', key.file)).stderr).toContain('3 already cached, 0 to upload');
      expect(await snapshot(cache)).toEqual(before);
    });

    it.each(['narinfo', 'NAR'])(
      'mends a lost %s, and so does a plain push of a closure that is small',
      async (kind) => {
        const before = await snapshot(cache);
        const lost =
          kind === 'NAR'
            ? (await narInfosOf(cache)).get(store.base.path)!.url
            : `${hashPartOf(store.base.path)}.narinfo`;
        for (const more of [['--check-all'], []]) {
          await rm(`${cache}/${lost}`);
          const { stderr } = await push('--secret-key', key.file, ...more);
          expect(stderr).toContain('1 to upload');
          if (kind === 'NAR')
            expect(stderr).toContain(`warning: the NAR of \`${store.base.path}\` was not in the cache`);
          expect(stderr.includes('with `--check-all` looks for all')).toBe(kind === 'NAR' && more.length === 0);
          expect(await snapshot(cache)).toEqual(before);
        }
      },
    );
  });

  describe('refuses', () => {
    it('a path that is not what its store says, and shows no narinfo of it or of what refers to it', async () => {
      const copy = box().path('copied-store');
      await cp(store.root, copy, { recursive: true, verbatimSymlinks: true });
      await rm(`${copy}${store.middle.path}/bin/run`);
      await writeFile(`${copy}${store.middle.path}/bin/run`, 'tampered', { mode: 0o755 });
      const args = ['push', store.top.path, '--store', copy, '--to', cache, '--secret-key', key.file];
      const { exitCode, stdout, stderr } = await box().carport(args);
      expect([exitCode, stdout]).toEqual([6, '']);
      expect(stderr).toContain(`error[E_INTEGRITY]: \`${store.middle.path}\` is damaged in the store`);
      expect(stderr).toMatch(/its NAR hash is sha256-\S+, not sha256-/);
      expect(stderr).toContain('\nhint: ');
      const shown = [...(await narInfosOf(cache)).keys()];
      expect(shown.filter((path) => path !== store.base.path)).toEqual([]);
      expect(await faultsOf(cache)).toEqual([]);
    });

    it('a path whose files are gone, though its store has it on record', async () => {
      const copy = box().path('store-without-files');
      await cp(store.root, copy, { recursive: true, verbatimSymlinks: true });
      await rm(`${copy}${store.middle.path}`, { recursive: true });
      const { exitCode, stderr } = await box().carport(['push', store.top.path, '--store', copy, '--to', cache]);
      expect(exitCode, stderr).toBe(6);
      expect(stderr).toContain(`error[E_INTEGRITY]: \`${store.middle.path}\` is damaged in the store`);
      expect(stderr).toContain(`hint: \`nix-store --verify-path ${store.middle.path}\``);
    });

    it('a key file that others can read', async () => {
      for (const mode of [0o644, 0o640, 0o604]) {
        await chmod(key.file, mode);
        const { exitCode, stderr } = await push('--secret-key', key.file);
        expect(exitCode).toBe(4);
        expect(stderr).toContain(`its mode is 0${mode.toString(8)}`);
        expect(stderr).toContain(`hint: chmod 600 ${key.file}`);
        await expect(readFile(`${cache}/nix-cache-info`)).rejects.toThrow('ENOENT');
      }
    });

    it('a key file that is missing, no key, or a public key', async () => {
      await writeFile(box().path('not-a-key'), 'hello\n', { mode: 0o600 });
      await writeFile(box().path('public'), key.publicKey, { mode: 0o600 });
      for (const name of ['missing', 'not-a-key', 'public']) {
        const { exitCode, stderr } = await push('--secret-key', box().path(name));
        expect(exitCode, name).toBe(4);
        expect(stderr).toContain('error[E_CREDENTIALS]');
        expect(stderr).not.toContain('hello');
      }
    });

    it('two keys of one name', async () => {
      const twin = box().path('twin.sec');
      await box().succeed(['key', 'generate', 'test-1', '--out', twin]);
      const { exitCode, stderr } = await push('--secret-key', key.file, '--secret-key', twin);
      expect(exitCode).toBe(4);
      expect(stderr).toContain('two secret keys have the name `test-1`');
    });

    it('a cache for another store dir', async () => {
      await push();
      await writeFile(`${cache}/nix-cache-info`, 'StoreDir: /gnu/store\n');
      const before = await snapshot(cache);
      const { exitCode, stderr } = await push('--secret-key', key.file);
      expect(exitCode).toBe(2);
      expect(stderr).toContain('is for `/gnu/store`, not for `/nix/store`');
      expect(await snapshot(cache)).toEqual(before);
    });

    it('a path that the store does not have', async () => {
      const path = `/nix/store/${'0'.repeat(32)}-none`;
      const { exitCode, stderr } = await box().carport(['push', path, '--store', store.root, '--to', cache]);
      expect(exitCode).toBe(5);
      expect(stderr).toContain(path);
    });
  });
});
