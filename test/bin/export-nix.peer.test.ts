import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeExport, EXPORT_NEXT, encodeExportedInfo } from '#lib/nix/export.js';
import { gather, stream } from '../support/files.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { type KeyFile, type RunOptions, useSandbox } from '../support/sandbox.js';

const EXPRESSION = `
  let
    make = name: attributes: script: derivation ({
      inherit name; system = builtins.currentSystem; builder = "/bin/sh"; PATH = "/bin:/usr/bin";
      args = [ "-c" script ];
    } // attributes);
    text = builtins.toFile "text" "some text";
    tools = make "tools" { outputs = [ "out" "lib" ]; inherit text; } ''
      mkdir -p $out/bin "$lib/with space"
      echo "#!$lib $out" > $out/bin/tool; chmod +x $out/bin/tool
      ln -s /nowhere $out/dangling; seq 1 100000 > $lib/numbers; : > $lib/nothing; echo $text > "$lib/with space/name"
    '';
  in make "everything" { tools = [ tools.out tools.lib ]; } "echo $tools > $out"
`;

describeWithNix('a stream of `nix-store --export`', () => {
  const box = useSandbox();
  const shared = useSandbox('all');
  let nix: NixStore;
  let out: string;
  let drv: string;
  let key: KeyFile;
  beforeAll(async () => {
    nix = await createNixStore();
    [out] = (await nix.build(EXPRESSION)) as [string];
    drv = await nix.run('nix-store', ['-q', '--deriver', out]);
    key = await shared().makeKey('test-1');
  });
  afterAll(() => nix.remove());
  const withNix = (input: Uint8Array = new Uint8Array()): RunOptions => ({ env: nix.env, input });
  const fromCarport = async (...args: readonly string[]) => (await box().succeed(['export', ...args], withNix())).bytes;
  const query = async (...args: readonly string[]) => (await nix.run('nix-store', ['-q', ...args])).split('\n').sort();
  const fromNix = async (paths: readonly string[]) => nix.runForBytes('nix-store', ['--export', ...paths]);

  /** The stream, path by path: Nix and carport order what does not refer to each other differently. */
  const partsOf = async (bytes: Uint8Array): Promise<ReadonlyMap<string, string>> => {
    const parts = new Map<string, string>();
    for await (const path of decodeExport(stream(bytes), '/nix/store')) {
      const nar = await gather(path.nar());
      const info = await path.info();
      for (const reference of info.references) expect(parts.has(reference) || reference === info.path).toBe(true);
      parts.set(info.path, Buffer.concat([EXPORT_NEXT, nar, encodeExportedInfo(info)]).toString('latin1'));
    }
    expect([...parts.values()].join('').length + 8).toBe(bytes.length);
    return parts;
  };
  const inNewStore = async <T>(work: (store: NixStore) => Promise<T>): Promise<T> => {
    const store = await createNixStore();
    try {
      return await work(store);
    } finally {
      await store.remove();
    }
  };

  it('is what carport writes of the same closure, byte by byte', async () => {
    const ours = await partsOf(await fromCarport(out));
    const theirs = await partsOf(await fromNix(await query('-R', out)));
    expect([...ours.keys()].sort()).toEqual(await query('-R', out));
    expect(new Map([...ours].sort())).toEqual(new Map([...theirs].sort()));
    const [text] = await query('--references', drv);
    expect(Buffer.from(await fromCarport(text!, '--closure', 'none')).equals(await fromNix([text!]))).toBe(true);
  });

  it('of a build closure has what Nix’s query for that has', async () => {
    const { lines } = await box().succeed(['export', drv, '--closure', 'build', '--out', 'closure'], withNix());
    expect(lines.toSorted()).toEqual(await query('-R', '--include-outputs', drv));
    await inNewStore(async (store) => {
      const input = await box().succeed(['export', drv, '--closure', 'build'], withNix());
      await store.run('nix-store', ['--import'], { input: input.bytes });
      // Nothing is left to be built.
      expect(await store.run('nix-store', ['--realise', drv])).toContain(out);
      expect(await store.run('nix-store', ['-q', '--deriver', out])).toBe(drv);
    });
  });

  it('with carport’s signatures in it is taken by Nix, which passes over them', async () => {
    const bytes = await fromCarport(out, '--secret-key', key.file);
    expect(Buffer.from(bytes).toString('latin1').split('test-1:').length - 1).toBe((await query('-R', out)).length);
    await inNewStore(async (store) => {
      const imported = await store.run('nix-store', ['--import'], { input: bytes });
      expect(imported.split('\n').sort()).toEqual(await query('-R', out));
      await store.run('nix-store', ['--verify', '--check-contents']);
      expect(await store.run('nix-store', ['-q', '--hash', out])).toBe(
        await nix.run('nix-store', ['-q', '--hash', out]),
      );
      expect(await store.run('nix-store', ['-q', '--tree', out])).toBe(
        await nix.run('nix-store', ['-q', '--tree', out]),
      );
    });
  });

  it('is imported without Nix, when that is allowed, and is the same there', async () => {
    await writeFile(box().path('work/closure'), await fromNix(await query('-R', out)));
    const refused = await box().carport(['import', 'closure', '--trusted-key', key.publicKey]);
    expect([refused.exitCode, refused.stderr]).toEqual([6, expect.stringContaining('it has no signature')]);
    const { lines } = await box().succeed(['import', 'closure', '--allow-unsigned']);
    expect(lines.toSorted()).toEqual(await query('-R', out));
    expect((await box().succeed(['store', 'verify'])).stderr).toContain('all whole');
    const again = (await box().succeed(['export', out])).bytes;
    expect(new Map([...(await partsOf(again))].sort())).toEqual(
      new Map([...(await partsOf(await fromNix(await query('-R', out))))].sort()),
    );
  });

  it('that carport signed is imported without Nix by who trusts the key', async () => {
    const file = join(box().root, 'closure');
    await box().succeed(['export', out, '--secret-key', key.file, '--out', file], withNix());
    const { lines } = await box().succeed(['import', file, '--trusted-key', key.publicKey]);
    expect(lines.toSorted()).toEqual(await query('-R', out));
  });
});
