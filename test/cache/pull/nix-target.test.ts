import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixTarget } from '#cache/pull/nix-target.js';
import type { PathReceiver } from '#cache/pull/target.js';
import { topologicalOrder } from '#lib/nix/closure.js';
import type { PathInfo } from '#lib/nix/narinfo.js';
import { openNixStore } from '#lib/store/nix-store.js';
import type { Store } from '#lib/store/store.js';
import { createNixStore, describeWithNix, type NixStore } from '../../support/nix.js';
import { usePool } from '../../support/pool.js';

/** A chain of eleven paths: five files, a derivation, five files. */
const EXPRESSION = `
  let
    chain = n: builtins.toFile "file-\${toString n}" (if n == 0 then "first" else chain (n - 1));
    drv = derivation { name = "x"; system = "none"; builder = "/bin/sh"; text = chain 4; };
    drvPath = builtins.unsafeDiscardOutputDependency drv.drvPath;
    after = n: builtins.toFile "after-\${toString n}" (if n == 0 then drvPath else after (n - 1));
  in after 4`;

/** By the size of a batch: a file's NAR has some 200 bytes. */
const MOST_WAITING: Readonly<Record<string, number>> = { 1: 0, 700: 4, undefined: 11 };

describeWithNix('the system’s Nix as the target of a pull', () => {
  const pool = usePool(1);
  let origin: NixStore;
  let source: Store;
  let infos: readonly PathInfo[];
  beforeAll(async () => {
    origin = await createNixStore();
    const top = JSON.parse(
      await origin.run('nix-instantiate', ['--eval', '--json', '--read-write-mode', '-E', EXPRESSION]),
    ) as string;
    source = (await openNixStore(origin.env))!;
    infos = topologicalOrder(await source.queryClosure([top]));
    expect(infos).toHaveLength(11);
  });
  afterAll(() => origin.remove());

  const give = async (receiver: PathReceiver, info: PathInfo) => {
    const temporary = receiver.temporaryName();
    await writeFile(temporary, await origin.runForBytes('nix-store', ['--dump', source.realPath(info)]));
    await receiver.place(temporary, info);
  };

  it.each([1, 700, undefined])(
    'takes all in, in batches of %s bytes and whatever refers to what',
    async (batchSize) => {
      const nix = await createNixStore();
      try {
        const store = (await openNixStore(nix.env))!;
        const target = createNixTarget(store, { keys: [], allowUnsigned: true }, nix.env, batchSize);
        const { signal } = new AbortController();
        const waiting: number[] = [];
        await target.receive(pool, signal, async (receiver) => {
          for (const info of infos) {
            await give(receiver, info);
            const [directory] = await readdir(join(nix.root, 'tmp'));
            const names = await readdir(join(nix.root, 'tmp', directory!));
            waiting.push(names.filter((name) => name.endsWith('.narinfo')).length);
          }
        });
        // What Nix has taken in needs no space here any more.
        expect(Math.max(...waiting)).toBe(MOST_WAITING[String(batchSize)]);
        expect((await store.queryClosure([infos.at(-1)!.path])).size).toBe(11);
        expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
        expect(await readdir(join(nix.root, 'tmp'))).toEqual([]);
      } finally {
        await nix.remove();
      }
    },
  );

  it('gets nothing of what is in the cache when the work fails', async () => {
    const nix = await createNixStore();
    try {
      const target = createNixTarget((await openNixStore(nix.env))!, { keys: [], allowUnsigned: true }, nix.env);
      const { signal } = new AbortController();
      const work = target.receive(pool, signal, async (receiver) => {
        await give(receiver, infos[0]!);
        throw new Error('this one');
      });
      await expect(work).rejects.toThrow('this one');
      expect(await nix.run('nix-store', ['--dump-db'])).toBe('');
      expect(await readdir(join(nix.root, 'tmp'))).toEqual([]);
    } finally {
      await nix.remove();
    }
  });
});
