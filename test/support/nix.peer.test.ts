import { lstat, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixStore, describeWithNix, type NixStore } from './nix.js';

const GREETING = `derivation {
  name = "greeting"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo hello > $out" ];
}`;

for (const ownStoreDir of [false, true]) {
  describeWithNix(`an isolated Nix store, ${ownStoreDir ? 'with a store dir of its own' : 'chroot'}`, () => {
    let store: NixStore;
    beforeAll(async () => {
      store = await createNixStore({ ownStoreDir });
    });
    afterAll(() => store.remove());

    it('builds, and keeps what it built inside its root', async () => {
      const [path] = await store.build(GREETING);
      expect(path!.startsWith(`${store.storeDir}/`)).toBe(true);
      expect(store.realPath(path!).startsWith(store.root)).toBe(true);
      expect(await readFile(store.realPath(path!), 'utf8')).toBe('hello\n');
      if (!ownStoreDir) await expect(lstat(path!)).rejects.toThrow('ENOENT');
    });

    it('gives the bytes of a NAR', async () => {
      const [path] = await store.build(GREETING);
      const nar = await store.runForBytes('nix-store', ['--dump', store.realPath(path!)]);
      expect(Buffer.from(nar.subarray(8, 21)).toString()).toBe('nix-archive-1');
    });
  });
}
