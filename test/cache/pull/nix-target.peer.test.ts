import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createNixTarget } from '#cache/pull/nix-target.js';
import type { PathReceiver, PullTarget } from '#cache/pull/target.js';
import { topologicalOrder } from '#lib/nix/closure.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { openNixStore } from '#lib/store/nix/store.js';
import type { Store } from '#lib/store/store.js';
import type { WarningEvent } from '#lib/work.js';
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
        const nars: number[] = [];
        await target.receive(pool, signal, async (receiver) => {
          for (const info of infos) {
            await give(receiver, info);
            const names = await readdir(join(nix.root, 'tmp'), { recursive: true });
            waiting.push(names.filter((name) => name.endsWith('.narinfo')).length);
            nars.push(names.filter((name) => /cache\/\.carport-/.test(name)).length);
          }
        });
        // What Nix has taken in needs no space here any more.
        expect(Math.max(...waiting)).toBe(MOST_WAITING[String(batchSize)]);
        expect(nars).toEqual(waiting);
        expect((await store.queryClosure([infos.at(-1)!.path])).size).toBe(11);
        expect(await nix.run('nix-store', ['--verify', '--check-contents'])).toBe('');
        expect(await readdir(join(nix.root, 'tmp'))).toEqual([]);
      } finally {
        await nix.remove();
      }
    },
  );

  /** An empty store, with a `nix` on PATH that does something around each copy. */
  const withNixTarget = async (
    around: { readonly before?: string; readonly after?: string },
    work: (target: PullTarget, nix: NixStore, store: Store) => Promise<void>,
    batchSize?: number,
  ) => {
    const nix = await createNixStore();
    const nothing = ':';
    const script = `#!/bin/sh
cd "$TMPDIR/.."; PATH="\${PATH#*:}"
case "$*" in *" copy "*) ;; *) exec nix "$@";; esac
${around.before ?? nothing}
nix "$@" || exit; ${around.after ?? nothing}
`;
    try {
      await mkdir(join(nix.root, 'stubs'));
      await writeFile(join(nix.root, 'stubs/nix'), script, { mode: 0o755 });
      const env = { ...nix.env, PATH: `${nix.root}/stubs:${nix.env.PATH}` };
      const store = (await openNixStore(nix.env))!;
      await work(createNixTarget(store, { keys: [], allowUnsigned: true }, env, batchSize), nix, store);
      expect(await readdir(join(nix.root, 'tmp'))).toEqual([]);
    } finally {
      await nix.remove();
    }
  };
  const { signal } = new AbortController();
  const giveAll = (target: PullTarget, given: readonly PathInfo[], after = async () => {}) =>
    target.receive(pool, signal, async (receiver) => {
      for (const info of given) {
        await give(receiver, info);
        await after();
      }
    });
  const GC = 'nix-store --gc > /dev/null 2>&1';
  const errorOf = (work: Promise<unknown>) =>
    work.then(
      () => expect.unreachable(),
      (error: unknown) => error,
    );
  const refuse = {
    signal,
    emit({ message }: WarningEvent) {
      throw new Error(`waited: ${message}`);
    },
  };

  it('keeps what it has taken from garbage collections, until the work is done', async () => {
    const work = async (target: PullTarget, nix: NixStore, store: Store) => {
      const collect = () => nix.run('nix-store', ['--gc']);
      const after = async () => {
        await giveAll(target, infos, async () => void (await collect()));
        await collect();
        expect((await store.queryClosure([infos.at(-1)!.path])).size).toBe(11);
      };
      await target.protect(after, refuse);
      // Nothing is kept for ever.
      await collect();
      expect(await nix.run('nix-store', ['--dump-db'])).toBe('');
      expect(await readdir(join(nix.root, 'nix/var/nix/gcroots/auto'))).toEqual([]);
    };
    await withNixTarget({}, work, 1);
  });

  it('copies once more what was removed before it had a root', async () => {
    const once = `[ -e collected ] || { touch collected; ${GC}; }`;
    await withNixTarget({ after: once }, async (target, nix, store) => {
      await target.protect(() => giveAll(target, infos), refuse);
      expect((await store.queryClosure([infos.at(-1)!.path])).size).toBe(11);
      expect(await readdir(nix.root)).toContain('collected');
    });
  });

  it('has the work done again when what was there is there no more', async () => {
    await withNixTarget({ before: `[ -e collected ] || { touch collected; ${GC}; }` }, async (target, nix, store) => {
      await writeFile(join(nix.root, 'collected'), 'not yet');
      await giveAll(target, infos.slice(0, 3));
      await rm(join(nix.root, 'collected'));
      const told: string[] = [];
      let runs = 0;
      const work = async () => {
        runs++;
        const present = await store.queryInfos(infos.map(({ path }) => path));
        const missing = infos.filter(({ path }) => !present.has(path));
        expect(missing).toHaveLength(runs === 1 ? 8 : 11);
        await giveAll(target, missing);
      };
      await target.protect(work, { signal, emit: ({ message }) => told.push(message) });
      expect(told).toEqual([expect.stringMatching(/^Nix's garbage collector removed paths .*; pulling again/)]);
      expect((await store.queryClosure([infos.at(-1)!.path])).size).toBe(11);
    });
  });

  it('names the collector when it does not let a pull end', async () => {
    await withNixTarget({ after: GC }, async (target) => {
      const error = await errorOf(giveAll(target, infos.slice(0, 2)));
      expect(error).toMatchObject({ code: 'E_UNAVAILABLE', hint: expect.stringContaining('nix-collect-garbage') });
      expect(String((error as Error).cause)).toContain(infos[1]!.path);
    });
  });

  it('begins nothing when Nix could not take the temporary directory in a URL', async () => {
    const env = { ...origin.env, TMPDIR: `${origin.root}/with space` };
    const target = createNixTarget(source, { keys: [], allowUnsigned: true }, env);
    const error = await errorOf(target.protect(async () => expect.unreachable(), refuse));
    expect(error).toMatchObject({ code: 'E_USAGE', message: expect.stringContaining('/with space`') });
    // What the hint names is taken.
    const plain = join(origin.root, 'a.b_c~d+e=f,g@h-1');
    await mkdir(plain);
    const other = createNixTarget(source, { keys: [], allowUnsigned: true }, { ...origin.env, TMPDIR: plain });
    await other.protect(() => giveAll(other, infos.slice(0, 1)), refuse);
    expect(await readdir(plain)).toEqual([]);
  });

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
