import { chmod, lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';
import { faultsOf, narInfosOf } from '../support/transfers.js';

/** Small paths in one closure, beside what is built. */
const SMALL_PATHS = 300;
const LARGE_LINES = 10_500_000;

/** Outputs that refer to each other, to themselves, and to many small paths; `large` adds some 80 MB. */
const EXPRESSION = `
  { large }:
  let
    make = name: attributes: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    } // attributes);
    small = builtins.foldl'
      (made: n: made ++ [ (builtins.toFile "small-\${toString n}" (toString ([ n ] ++ last made))) ])
      [] (builtins.genList (n: n) ${SMALL_PATHS});
    last = list: if list == [] then [] else [ (builtins.elemAt list (builtins.length list - 1)) ];
    tools = make "tools" { outputs = [ "out" "lib" ]; } ''
      mkdir -p $out/bin $lib/empty
      echo $lib $out > $out/bin/tool; chmod +x $out/bin/tool
      ln -s bin/tool $out/tool; ln -s /nowhere $out/dangling
      head -c 300000 /dev/zero > $lib/zeros; : > $lib/nothing
    '';
    bulk = make "bulk" {} "seq 1 \${if large then "${LARGE_LINES}" else "20000"} > $out";
  in make "everything" { inherit small bulk; tools = [ tools.out tools.lib ]; } "echo $small $bulk $tools > $out"
`;

describeWithNix('real Nix', () => {
  const box = useSandbox('all');
  let builder: NixStore;
  let key: KeyFile;
  const everything: Record<'large' | 'light', string> = { large: '', light: '' };
  beforeAll(async () => {
    builder = await createNixStore();
    key = await box().makeKey('carport-test-1');
    for (const kind of ['large', 'light'] as const) {
      const [path] = await builder.build(`(${EXPRESSION}) { large = ${kind === 'large'}; }`);
      everything[kind] = path!;
    }
  });
  afterAll(() => builder.remove());

  const push = (path: string, cache: string, ...more: readonly string[]) =>
    box().succeed(['push', path, '--to', cache, ...more], { env: builder.env });

  /** Gives Nix the cache and nothing else; it trusts one key. */
  const copyWithNix = async (cache: string, path: string, trustedKey: string): Promise<NixStore> => {
    const store = await createNixStore({ settings: { 'trusted-public-keys': trustedKey, 'require-sigs': 'true' } });
    try {
      await store.run('nix', ['copy', '--from', `file://${cache}`, path]);
      return store;
    } catch (error) {
      await store.remove();
      throw error;
    }
  };

  it.each([
    ['zstd', 'large'],
    ['xz', 'light'],
    ['none', 'light'],
  ] as const)('accepts a closure pushed with %s (%s), with only our key trusted', async (compression, kind) => {
    const cache = box().path(`cache-${compression}`);
    const path = everything[kind];
    const { lines } = await push(path, cache, '--compression', compression, '--secret-key', key.file);
    const wanted = (await builder.run('nix-store', ['-qR', path])).split('\n');
    expect(wanted.length).toBe(SMALL_PATHS + 4);
    expect([...lines].sort()).toEqual([...wanted].sort());

    const store = await copyWithNix(cache, path, key.publicKey);
    try {
      expect((await store.run('nix-store', ['-qR', path])).split('\n').sort()).toEqual([...wanted].sort());
      // Throws when a path is damaged.
      await store.run('nix-store', ['--verify', '--check-contents']);
      const hashes = (at: NixStore) => at.run('nix-store', ['-q', '--hash', ...[...wanted].sort()]);
      expect(await hashes(store)).toBe(await hashes(builder));
    } finally {
      await store.remove();
    }
    expect(await faultsOf(cache)).toEqual([]);
  });

  it('gets what Nix itself knows of a path: deriver, and the mode of programs', async () => {
    const cache = box().path('cache-zstd');
    const tools = [...(await narInfosOf(cache)).values()].find(({ path }) => path.endsWith('-tools'))!;
    expect(tools.deriver).toMatch(/-tools\.drv$/);
    const store = await copyWithNix(cache, tools.path, key.publicKey);
    try {
      expect((await lstat(join(store.realPath(tools.path), 'bin/tool'))).mode & 0o777).toBe(0o555);
      expect(await store.run('nix-store', ['-q', '--deriver', tools.path])).toBe(tools.deriver);
    } finally {
      await store.remove();
    }
  });

  it('refuses the closure when another key is trusted', async () => {
    const other = await box().makeKey('carport-test-2');
    const impostor = await box().makeKey('impostor');
    const sameName = `carport-test-1:${impostor.publicKey.split(':')[1]}`;
    for (const publicKey of [other.publicKey, sameName]) {
      const copy = copyWithNix(box().path('cache-none'), everything.light, publicKey);
      await expect(copy).rejects.toThrow(/lacks a (valid|signature)/);
    }
  });

  it('reads listings and files in the cache through `nix store`', async () => {
    const cache = box().path('cache-xz');
    const tools = [...(await narInfosOf(cache)).keys()].find((path) => path.endsWith('-tools'))!;
    const listed = await builder.run('nix', ['store', 'ls', '--store', `file://${cache}`, '--recursive', tools]);
    expect(listed.split('\n')).toEqual(['./bin', './bin/tool', './dangling', './tool']);
    const text = await builder.run('nix', ['store', 'cat', '--store', `file://${cache}`, `${tools}/bin/tool`]);
    expect(text).toContain(tools);
  });

  it('finds a build closure complete, derivations and all', async () => {
    const cache = box().path('cache-build');
    const derivation = await builder.run('nix-store', ['-q', '--deriver', everything.light]);
    const { lines } = await push(derivation, cache, '--closure', 'build', '--secret-key', key.file);
    const wanted = await builder.run('nix-store', ['-qR', '--include-outputs', derivation]);
    expect([...lines].sort()).toEqual(wanted.split('\n').sort());
    expect(lines).toContain(everything.light);
    // Nix takes all from the cache, the derivation too: it may build nothing.
    const settings = { substituters: `file://${cache}`, 'trusted-public-keys': key.publicKey, 'max-jobs': '0' };
    const store = await createNixStore({ settings });
    try {
      expect(await store.run('nix-store', ['--realise', derivation])).toBe(everything.light);
      await store.run('nix-store', ['--verify', '--check-contents']);
    } finally {
      await store.remove();
    }
  });

  it('has what it copied to a cache of ours left alone, and signed', async () => {
    const cache = box().path('cache-of-nix');
    await builder.run('nix', ['copy', '--to', `file://${cache}?compression=none`, everything.light]);
    const before = await narInfosOf(cache);
    const { stderr } = await push(everything.light, cache, '--secret-key', key.file);
    expect(stderr).toContain(`${SMALL_PATHS + 4} already cached, 0 to upload`);
    expect(stderr).toContain(`${SMALL_PATHS + 4} signed`);
    const after = await narInfosOf(cache);
    for (const [path, info] of after) expect(info.url).toBe(before.get(path)!.url);
    await (await copyWithNix(cache, everything.light, key.publicKey)).remove();
  });

  it('refuses to push what its store has damaged', async () => {
    const damaged = await createNixStore();
    try {
      await damaged.run('nix', [
        'copy',
        '--no-check-sigs',
        '--from',
        `file://${box().path('cache-none')}`,
        everything.light,
      ]);
      const tools = (await damaged.run('nix-store', ['-qR', everything.light]))
        .split('\n')
        .find((path) => path.endsWith('-tools'))!;
      const file = join(damaged.realPath(tools), 'bin/tool');
      const text = await readFile(file, 'utf8');
      await chmod(file, 0o755);
      await writeFile(file, text.toUpperCase());
      const cache = box().path('cache-damaged');
      const args = ['push', everything.light, '--to', cache, '--secret-key', key.file];
      const { exitCode, stderr } = await box().carport(args, { env: damaged.env });
      expect(exitCode).toBe(6);
      expect(stderr).toContain(tools);
      expect([...(await narInfosOf(cache)).keys()]).not.toContain(tools);
      expect(await faultsOf(cache)).toEqual([]);
    } finally {
      await damaged.remove();
    }
  });
});
