import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsIn, openBucket, type TestBucket } from '../support/bucket.js';
import { describeWithGarage, useGarage } from '../support/garage.js';
import { useGarageRuns } from '../support/garage-runs.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { createLargeStore, snapshot } from '../support/samples.js';
import { type KeyFile, useSandbox } from '../support/sandbox.js';

/** Some below the size from which Garage keeps an object as a block, and one that goes in parts. */
const SIZES = [30_000_000, ...Array.from({ length: 120 }, (_, index) => 50 * index + (index % 10 === 0 ? 40_000 : 0))];

/** Paths that only a signature vouches for. */
const TOOL = `
  let make = name: script: derivation {
    inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
    args = [ "-c" script ]; text = builtins.toFile "text" "some text";
  };
  in make "tool" "mkdir -p $out/bin; echo \${make "data" "seq 1 100000 > $out"} $text > $out/bin/tool"
`;

describeWithGarage('a cache on Garage', () => {
  const box = useSandbox('all');
  const garage = useGarage();
  const carport = useGarageRuns(box, garage);
  let large: Awaited<ReturnType<typeof createLargeStore>>;
  let key: KeyFile;
  let bucket: TestBucket;
  let s3: string;
  let http: string;
  beforeAll(async () => {
    large = await createLargeStore(box().root, SIZES);
    key = await box().makeKey('test-1');
    bucket = openBucket(garage(), await garage().freshBucket());
    s3 = garage().url(bucket.name);
    await carport.succeed(['push', large.top, '--store', large.root, '--to', s3, '--secret-key', key.file]);
    http = await garage().serve(bucket.name);
  });

  const pull = (from: string, store: string, ...more: readonly string[]) =>
    carport.succeed([
      ...['pull', large.top, '--from', from, '--trusted-key', key.publicKey, '--store', box().path(store)],
      ...more,
    ]);
  const expectWhole = async (store: string) => {
    const { stderr } = await box().succeed(['store', 'verify', '--store', box().path(store)]);
    expect(stderr).toBe(`${large.paths.length} paths checked, all whole\n`);
  };

  it('is whole after a push, and tells readers how long they may keep what', async () => {
    expect(await faultsIn(bucket)).toEqual([]);
    const keys = [...(await bucket.objects()).keys()];
    const kinds = [
      ['nix-cache-info', 'text/x-nix-cache-info', /^max-age=\d{1,3}$/],
      ['.narinfo', 'text/x-nix-narinfo', /^max-age=\d{1,3}$/],
      ['.ls', 'application/json', /^max-age=\d{1,4}$/],
      ['.nar.zst', 'application/x-nix-nar', /^max-age=31536000, immutable$/],
    ] as const;
    // Small NARs of many have no listing, but the one that is large enough to gain by it.
    const counts = [1, large.paths.length, 1, large.paths.length];
    for (const [index, [ending, contentType, cacheControl]] of kinds.entries()) {
      const ofKind = keys.filter((each) => each.endsWith(ending));
      expect(ofKind.length, ending).toBe(counts[index]);
      for (const each of ofKind) {
        const told = await bucket.metadata(each);
        expect(told.contentType, each).toBe(contentType);
        expect(told.cacheControl, each).toMatch(cacheControl);
      }
      const served = await fetch(`${http}/${ofKind[0]}`, { method: 'HEAD' });
      expect(served.headers.get('content-type')).toBe(contentType);
      expect(served.headers.get('cache-control')).toMatch(cacheControl);
    }
    // All narinfos lie together, too.
    expect(keys.filter((each) => each.startsWith('carport/batches/')).length).toBe(1);
    expect(keys.length).toBe(counts.reduce((sum, count) => sum + count) + 1);
    expect(await bucket.uploads()).toEqual([]);
  });

  it.each(['s3', 'http'] as const)('is pulled whole over %s', async (kind) => {
    const store = `store-${kind}`;
    const { lines } = await pull(kind === 's3' ? s3 : http, store, '--out-link', box().path(`result-${kind}`));
    expect([...lines].sort()).toEqual([...large.paths].sort());
    expect(lines.at(-1)).toBe(large.top);
    await expectWhole(store);
    expect(await snapshot(box().path(store, 'nix/store'))).toEqual(await snapshot(`${large.root}/nix/store`));
    expect(await readFile(box().path(`result-${kind}`, 'references'), 'utf8')).toContain(large.paths[0]);
    const again = await pull(kind === 's3' ? s3 : http, store);
    expect(again.stderr).not.toMatch(/\b[1-9][0-9]* to fetch/);
  });

  it('may be a directory of a bucket, beside another', async () => {
    const shared = openBucket(garage(), await garage().freshBucket());
    const urlOf = (directory: string) => garage().url(`${shared.name}/${directory}`);
    const [one, two] = [large.paths[3]!, large.paths[40]!];
    for (const [directory, root] of [
      ['one', one],
      ['deep/two', two],
    ] as const) {
      const from = ['push', root, '--store', large.root, '--secret-key', key.file];
      await carport.succeed([...from, '--to', urlOf(directory)]);
    }
    const keys = [...(await shared.objects()).keys()];
    expect(keys.filter((each) => !/^(one|deep\/two)\//.test(each))).toEqual([]);
    const website = await garage().serve(shared.name);
    try {
      for (const [directory, root] of [
        ['one', one],
        ['deep/two', two],
      ] as const) {
        const closure = (await box().succeed(['closure', root, '--store', large.root])).lines;
        expect((await carport.succeed(['cache', 'ls', urlOf(directory)])).lines).toEqual([...closure].sort());
        for (const [index, from] of [urlOf(directory), `${website}/${directory}`].entries()) {
          const store = box().path(`store-${directory.replace('/', '-')}-${index}`);
          const options = ['--store', store, '--trusted-key', key.publicKey];
          const { lines } = await carport.succeed(['pull', root, '--from', from, ...options]);
          expect(lines).toEqual(closure);
          await box().succeed(['store', 'verify', '--store', store]);
        }
      }
      const missing = await carport.run([
        ...['pull', two, '--from', urlOf('one'), '--store', box().path('none'), '--trusted-key', key.publicKey],
      ]);
      expect(missing).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('is not in `s3://') });
    } finally {
      await garage().serve(bucket.name);
    }
  });

  it('tells the closure of a path, over s3 and http', async () => {
    const wanted = (await box().succeed(['closure', large.top, '--store', large.root])).lines;
    for (const from of [s3, http]) {
      expect((await carport.succeed(['closure', large.top, '--from', from])).lines).toEqual(wanted);
    }
  });

  it('is listed and read, over s3 and http', async () => {
    const [big] = large.paths as [string];
    expect((await carport.succeed(['cache', 'ls', s3])).lines).toEqual([...large.paths].sort());
    const refused = await carport.run(['cache', 'ls', http]);
    expect(refused).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('cannot be listed') });
    expect(refused.stderr).toContain('hint: ');
    for (const from of [s3, http]) {
      const files = (await carport.succeed(['cache', 'ls', from, big])).lines;
      expect(files.map((line) => line.split(' ').at(-1))).toEqual(['.', './data', './references']);
      const cat = await carport.succeed(['cache', 'cat', from, `${big}/data`, '--trusted-key', key.publicKey]);
      expect(Buffer.compare(cat.bytes, await readFile(`${large.root}${big}/data`))).toBe(0);
      const info = JSON.parse((await carport.succeed(['cache', 'info', from, '--json'])).stdout);
      expect(info).toMatchObject({ storeDir: '/nix/store', paths: from === s3 ? large.paths.length : null });
    }
  });

  describeWithNix('and stock Nix', () => {
    let builder: NixStore;
    let tool: string;
    let closure: readonly string[];
    beforeAll(async () => {
      builder = await createNixStore();
      [tool] = (await builder.build(TOOL)) as [string];
      closure = (await builder.run('nix-store', ['-qR', tool])).split('\n').sort();
    });
    afterAll(() => builder.remove());

    /** Gives Nix a cache and nothing else; it trusts one key. */
    const copyWithNix = async (from: string, path: string, trustedKey: string, look: (store: NixStore) => unknown) => {
      const store = await createNixStore({ settings: { 'trusted-public-keys': trustedKey, 'require-sigs': 'true' } });
      try {
        await store.run('nix', ['copy', '--from', from, path]);
        // Throws when a path is damaged.
        await store.run('nix-store', ['--verify', '--check-contents']);
        await look(store);
      } finally {
        await store.remove();
      }
    };

    it('gives it everything at the website', async () => {
      await copyWithNix(http, large.top, key.publicKey, async (store) => {
        const got = (await store.run('nix-store', ['-qR', large.top])).split('\n');
        expect(got.sort()).toEqual([...large.paths].sort());
        expect(await snapshot(store.realPath('/nix/store'))).toEqual(await snapshot(`${large.root}/nix/store`));
      });
    });

    it('gives it what was built, when it trusts our key and not another', async () => {
      const built = openBucket(garage(), await garage().freshBucket());
      const env = builder.env;
      await carport.succeed(['push', tool, '--to', garage().url(built.name), '--secret-key', key.file], { env });
      const url = await garage().serve(built.name);
      try {
        const other = await box().makeKey('other-1');
        await expect(copyWithNix(url, tool, other.publicKey, () => {})).rejects.toThrow('signature');
        await copyWithNix(url, tool, key.publicKey, async (store) => {
          expect((await store.run('nix-store', ['-qR', tool])).split('\n').sort()).toEqual(closure);
        });
      } finally {
        await garage().serve(bucket.name);
      }
    });

    it.each(['zstd', 'xz'])('takes a cache that it made (%s)', async (compression) => {
      const nixKey = await box().makeKey('nix-1');
      const cache = box().path(`by-nix-${compression}`);
      const settings = `compression=${compression}&secret-key=${nixKey.file}&write-nar-listing=1`;
      await builder.run('nix', ['copy', '--to', `file://${cache}?${settings}`, tool]);
      const copied = openBucket(garage(), await garage().freshBucket());
      for (const [name, content] of Object.entries(await snapshot(cache))) {
        await copied.put(name, Buffer.from(content, 'latin1'));
      }
      const url = garage().url(copied.name);
      const store = box().path(`of-nix-${compression}`);
      const options = ['--store', store, '--trusted-key', nixKey.publicKey];
      const { lines } = await carport.succeed(['pull', tool, '--from', url, ...options]);
      expect([...lines].sort()).toEqual(closure);
      await box().succeed(['store', 'verify', '--store', store]);
      expect((await carport.succeed(['cache', 'ls', url])).lines).toEqual(closure);
      const cat = ['cache', 'cat', url, `${tool}/bin/tool`, '--trusted-key', nixKey.publicKey];
      expect((await carport.succeed(cat)).stdout).toContain('-data');
    });
  });
});

describe('the samples', () => {
  it('have a path that goes in parts', () => {
    // Of what `noise` makes, zstd saves an eighth.
    expect(Math.max(...SIZES) * 0.8).toBeGreaterThan(16 * 1024 * 1024);
  });
});
