import { lstat, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseHash, renderHash } from '#lib/nix/hash.js';
import { noise } from '../support/files.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

const EXPRESSION = `
  let
    make = name: attributes: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    } // attributes);
    text = builtins.toFile "text" "some text";
    tools = make "tools" { outputs = [ "out" "lib" ]; inherit text; } ''
      mkdir -p $out/bin "$lib/with space/and "
      echo "#!$lib $out" > $out/bin/tool; chmod +x $out/bin/tool
      ln -s bin/tool $out/tool; ln -s /nowhere $out/dangling
      seq 1 60000 > $lib/numbers; : > $lib/nothing; echo $text > "$lib/with space/and /name"
    '';
  in make "everything" { tools = [ tools.out tools.lib ]; } "echo $tools > $out"
`;

describeWithNix('a cache written by `nix copy`, without Nix', () => {
  const box = useSandbox('all');
  let builder: NixStore;
  let key: KeyFile;
  let everything: string;
  let closure: readonly string[];
  /** What Nix says of a path: its hash, then what it refers to. */
  const facts = new Map<string, { readonly hash: string; readonly references: readonly string[] }>();
  beforeAll(async () => {
    builder = await createNixStore();
    key = await box().makeKey('nix-test-1');
    [everything] = (await builder.build(EXPRESSION)) as [string];
    closure = (await builder.run('nix-store', ['-qR', everything])).split('\n').sort();
    for (const path of closure) {
      const references = (await builder.run('nix-store', ['-q', '--references', path])).split('\n').filter(Boolean);
      const hash = renderHash(parseHash((await builder.run('nix-store', ['-q', '--hash', path])).trim()));
      facts.set(path, { hash, references: references.sort() });
    }
  });
  afterAll(() => builder.remove());

  const hashOf = (path: string) => box().succeed(['hash', 'path', path, '--format', 'nix32']);

  it.each(['zstd', 'xz', 'gzip', 'br', 'none'])('is pulled whole (%s)', async (compression) => {
    const cache = box().path(`cache-${compression}`);
    const to = `file://${cache}?compression=${compression}&secret-key=${key.file}&write-nar-listing=1`;
    await builder.run('nix', ['copy', '--to', to, everything]);
    const store = box().path(`store-${compression}`);
    const link = box().path(`result-${compression}`);
    const { lines } = await box().succeed([
      ...['pull', everything, '--from', `file://${cache}`, '--trusted-key', key.publicKey],
      ...['--store', store, '--out-link', link],
    ]);
    expect([...lines].sort()).toEqual(closure);
    expect(lines.at(-1)).toBe(everything);

    for (const path of closure) {
      expect(`sha256:${(await hashOf(store + path)).stdout.trim()}`).toBe(facts.get(path)!.hash);
    }
    const infos = JSON.parse((await box().succeed(['store', 'info', ...closure, '--store', store, '--json'])).stdout);
    for (const info of infos.paths) {
      expect([...info.references].sort()).toEqual(facts.get(info.path)!.references);
      expect(info.signatures.join()).toContain('nix-test-1:');
    }
    expect((await box().succeed(['store', 'verify', '--store', store])).stderr).toContain('4 paths checked, all whole');
    expect(await readFile(link, 'utf8')).toBe(await readFile(builder.realPath(everything), 'utf8'));
  });

  it('has the modes and times of a Nix store', async () => {
    const modes = async (root: string) => {
      const found: Record<string, unknown> = {};
      for (const path of closure) {
        for (const entry of ['.', ...(await namesBelow(root + path))]) {
          const stats = await lstat(join(root, path, entry));
          found[join(path, entry)] = [stats.mode.toString(8), stats.mtimeMs, stats.isSymbolicLink() ? 0 : stats.size];
        }
      }
      return found;
    };
    const ours = await modes(box().path('store-zstd'));
    const nixs = await modes(builder.root);
    expect(Object.keys(ours).length).toBeGreaterThan(12);
    for (const [path, [mode, mtime]] of Object.entries(ours) as [string, [string, number, number]][]) {
      expect(mtime, path).toBe(1000);
      expect(mode, path).toBe((nixs[path] as [string])[0]);
    }
  });

  it('is listed and read like one of carport', async () => {
    const cache = box().path('cache-xz');
    const tools = closure.find((path) => path.endsWith('-tools'))!;
    const { lines } = await box().succeed(['cache', 'ls', cache, tools]);
    expect(lines.map((line) => line.replace(/^\S+ +[0-9]+ /, ''))).toEqual([
      ...['.', './bin', './bin/tool', './dangling -> /nowhere', './tool -> bin/tool'],
    ]);
    const cat = ['cache', 'cat', cache, `${tools}/bin/tool`, '--trusted-key', key.publicKey];
    expect((await box().succeed(cat)).stdout).toContain(tools);
    expect((await box().succeed(['cache', 'ls', cache])).lines).toEqual(closure);
    expect((await box().succeed(['closure', everything, '--from', cache])).lines.slice().sort()).toEqual(closure);
  });

  it('is pushed on to a third cache with the signatures of Nix', async () => {
    const third = box().path('third');
    await box().succeed(['push', everything, '--store', box().path('store-none'), '--to', third]);
    await box().succeed([
      'pull',
      everything,
      '--from',
      third,
      '--trusted-key',
      key.publicKey,
      '--store',
      box().path('s3'),
    ]);
  });
});

/** Bytes of a NAR around those of a plain file of more than 8 bytes, without padding. */
const AROUND = 112;
const PIECE = 256 * 1024;
const LARGE = 3 * PIECE - AROUND;

describeWithNix('paths of sizes around a buffer that `nix copy` wrote, without Nix', () => {
  const box = useSandbox('all');
  let builder: NixStore;
  let all: readonly string[];
  beforeAll(async () => {
    builder = await createNixStore();
    const sizes = [
      0,
      1,
      PIECE - 2 * AROUND,
      PIECE - AROUND - 8,
      PIECE - AROUND,
      PIECE - AROUND + 1,
      PIECE,
      2 * PIECE - AROUND,
      LARGE,
      4 * PIECE - AROUND,
      4 * PIECE,
    ];
    const files = sizes.flatMap((size) => {
      const contents = {
        text: Buffer.alloc(size, 'text\n'),
        noise: noise(size),
        mixed: Buffer.concat([noise(size >> 1), Buffer.alloc(size - (size >> 1))]),
      };
      return Object.entries(contents).map(([kind, bytes]) => ({ name: join(builder.root, `${kind}-${size}`), bytes }));
    });
    for (const { name, bytes } of files) await writeFile(name, bytes);
    const added = await builder.run('nix-store', ['--add', ...files.map(({ name }) => name)]);
    all = added.split('\n').sort();
    expect(all).toHaveLength(files.length);
  });
  afterAll(() => builder.remove());

  /** Of every size, and of one large and the small ones every kind: Nix has brotli's highest level whatever it is told. */
  const fewer = () => {
    const sizeOf = (path: string) => Number(path.split('-').at(-1));
    return all.filter((path) => path.includes('-text-') || sizeOf(path) <= PIECE || sizeOf(path) === LARGE);
  };

  it.each([
    ['zstd', ''],
    ['zstd', '&compression-level=19'],
    ['zstd', '&parallel-compression=true'],
    ['xz', '&compression-level=0'],
    ['gzip', ''],
    ['br', '&compression-level=1'],
    ['none', ''],
  ])('are pulled whole, and pushed on (%s%s)', { timeout: 120_000 }, async (compression, more) => {
    const name = `${compression}${more}`;
    const cache = box().path(name, 'nix');
    const paths = compression === 'br' || more.endsWith('=19') ? fewer() : all;
    await builder.run('nix', ['copy', '--to', `file://${cache}?compression=${compression}${more}`, ...paths]);
    const store = box().path(name, 'store');
    const pulled = await box().succeed(['pull', ...paths, '--from', cache, '--allow-unsigned', '--store', store]);
    expect([...pulled.lines].sort()).toEqual(paths);
    for (const path of paths) {
      expect((await readFile(store + path)).equals(await readFile(builder.realPath(path))), path).toBe(true);
    }
    const own = box().path(name, 'own');
    await box().succeed(['push', ...paths, '--store', store, '--to', own]);
    await box().succeed(['pull', ...paths, '--from', own, '--allow-unsigned', '--store', box().path(name, 'again')]);
    const verified = await box().succeed(['store', 'verify', '--store', box().path(name, 'again')]);
    expect(verified.stderr).toContain(`${paths.length} paths checked, all whole`);
  });
});

async function namesBelow(path: string): Promise<string[]> {
  if (!(await lstat(path)).isDirectory()) return [];
  return readdir(path, { recursive: true });
}
