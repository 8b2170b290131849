import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { hashBytes } from '#lib/nix/hash.js';
import { baseNameOf } from '#lib/nix/store-path.js';
import { collectGarbage } from '#lib/store/own/collect-garbage.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { unregisterDamaged, verifyStore } from '#lib/store/own/verify.js';
import type { ActivityEvent } from '#lib/work.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { directoryOf, fileOf, linkTo, removeAll, useDirectory, writeTree } from '../../../support/files.js';
import { infoOf, metadataOf, placeTree, writerOf } from '../../../support/own-store.js';
import { usePool } from '../../../support/pool.js';

const pool = usePool(2);
const directory = useDirectory();
const open = () => openOwnStore(join(directory(), 'root'));
const TREE = directoryOf({ file: fileOf('content'), program: fileOf('x', true), link: linkTo('file') });

/** A store of three paths, each with the one before as its reference. */
async function chain() {
  const store = open();
  const a = await placeTree(store, pool, 'a', TREE);
  const b = await placeTree(store, pool, 'b', TREE, [a.path]);
  const c = await placeTree(store, pool, 'c', TREE, [b.path]);
  return { store, a, b, c };
}

/** Notes the paths that are done. */
function noteOf(checked: string[]) {
  return (event: ActivityEvent) => {
    if (event.type === 'item-finished') checked.push(event.name);
  };
}

describe('verifying a store', () => {
  it('finds nothing wrong where nothing is', async () => {
    const { store, a, b, c } = await chain();
    const checked: string[] = [];
    const result = await verifyStore(store, store, { pool, emit: noteOf(checked) });
    expect(result).toEqual({ checked: 3, problems: [], unregistered: [], leftAlone: [] });
    expect(checked.sort()).toEqual([a, b, c].map(({ path }) => path).sort());
  });

  it('of an empty store finds nothing', async () => {
    expect(await verifyStore(open(), open(), { pool })).toEqual({
      checked: 0,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
  });

  it.each<[string, (tree: string) => void]>([
    ['other contents', (tree) => rewrite(join(tree, 'file'), 'Content')],
    ['a file more', (tree) => writeFileSync(join(tree, 'more'), '')],
    ['a file less', (tree) => rmSync(join(tree, 'file'))],
    ['another mode', (tree) => chmodSync(join(tree, 'program'), 0o444)],
    [
      'a link that points elsewhere',
      (tree) => replace(join(tree, 'link'), () => writeTree(join(tree, 'link'), linkTo('x'))),
    ],
  ])('finds a path that is damaged: %s', async (_, damage) => {
    const { store, b } = await chain();
    chmodSync(store.realPath(b), 0o755);
    damage(store.realPath(b));
    const { problems } = await verifyStore(store, store, { pool });
    expect(problems).toEqual([
      { path: b.path, problem: 'damaged', detail: expect.stringMatching(/^its hash is sha256-.*=, not sha256-.*=$/) },
    ]);
  });

  it('calls damaged only what has the same wrong bytes when it is read again', async () => {
    const { store, b } = await chain();
    let reads = 0;
    const doubtful: WorkerPool = {
      ...pool,
      async run(job, options) {
        const result = await pool.run(job, options);
        if (job.type !== 'hash' || !job.path.endsWith(baseNameOf(b.path)) || ++reads > 1) return result;
        return { ...result, narHash: hashBytes('sha256', 'other') };
      },
    };
    const { problems } = await verifyStore(store, store, { pool: doubtful });
    expect(problems).toMatchObject([{ path: b.path, problem: 'unreadable' }]);
    expect(await unregisterDamaged(store, problems)).toEqual([]);
  });

  it('does not give up what cannot be read now', async () => {
    const { store, b } = await chain();
    const failing: WorkerPool = {
      ...pool,
      async run(job, options) {
        if (job.type === 'hash' && job.path.endsWith(baseNameOf(b.path))) {
          throw Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
        }
        return pool.run(job, options);
      },
    };
    const { problems } = await verifyStore(store, store, { pool: failing });
    expect(problems).toEqual([{ path: b.path, problem: 'unreadable', detail: 'EACCES: permission denied' }]);
    expect(await unregisterDamaged(store, problems)).toEqual([]);
    expect((await verifyStore(store, store, { pool })).problems).toEqual([]);
  });

  it('finds a path whose files are gone', async () => {
    const { store, a } = await chain();
    removeAll(store.realPath(a));
    const { problems, checked } = await verifyStore(store, store, { pool });
    expect(problems).toEqual([{ path: a.path, problem: 'missing', detail: 'its files are gone' }]);
    expect(checked).toBe(3);
  });

  it('finds a path whose references are not valid, and what was left of them', async () => {
    const { store, a, b } = await chain();
    rmSync(metadataOf(store, a));
    expect(await verifyStore(store, store, { pool })).toEqual({
      checked: 2,
      problems: [{ path: b.path, problem: 'incomplete', detail: `it refers to \`${a.path}\`, which is not valid` }],
      unregistered: [],
      leftAlone: [baseNameOf(a.path)],
    });
  });

  it('does not mind a path that refers to itself', async () => {
    const store = open();
    const info = infoOf('self', TREE);
    const writer = await writerOf(store, pool);
    const temporary = writer.temporaryName();
    writeTree(temporary, TREE);
    await writer.place(temporary, { ...info, references: [info.path] });
    expect(await verifyStore(store, store, { pool })).toEqual({
      checked: 1,
      problems: [],
      unregistered: [],
      leftAlone: [],
    });
  });

  it('looks only at the paths that it is given, and at all for their references', async () => {
    const { store, a, b, c } = await chain();
    removeAll(store.realPath(a));
    writeFileSync(join(store.layout.realStoreDir, 'stray'), 'x');
    const checked: string[] = [];
    const result = await verifyStore(store, store, { pool, only: [b.path, c.path], emit: noteOf(checked) });
    expect(result).toEqual({ checked: 2, problems: [], unregistered: [], leftAlone: [] });
    expect(checked.sort()).toEqual([b.path, c.path].sort());
    expect((await verifyStore(store, store, { pool, only: [a.path] })).problems).toHaveLength(1);
    expect(readdirSync(store.layout.realStoreDir)).toContain('stray');
    expect((await verifyStore(store, store, { pool })).leftAlone).toEqual(['stray']);
  });
});

describe('giving up what is damaged', () => {
  it('takes the registration of the path and of all that refers to it, and of nothing else', async () => {
    const { store, a, b, c } = await chain();
    const other = await placeTree(store, pool, 'other', TREE, [a.path]);
    removeAll(store.realPath(b));
    const { problems } = await verifyStore(store, store, { pool });
    expect(await unregisterDamaged(store, problems)).toEqual([b.path, c.path].sort());
    expect([...(await store.queryAll()).keys()].sort()).toEqual([a.path, other.path].sort());
    expect((await verifyStore(store, store, { pool })).problems).toEqual([]);
  });

  it('lets the paths be added again, in the place of the damaged files', async () => {
    const { store, a, b } = await chain();
    chmodSync(store.realPath(a), 0o755);
    rewrite(join(store.realPath(a), 'file'), 'damaged');
    await unregisterDamaged(store, (await verifyStore(store, store, { pool })).problems);
    expect((await store.queryAll()).size).toBe(0);
    expect(await placeTree(store, pool, 'a', TREE)).toEqual(a);
    expect(await placeTree(store, pool, 'b', TREE, [a.path])).toEqual(b);
    expect(await verifyStore(store, store, { pool })).toMatchObject({ checked: 2, problems: [] });
  });

  it('does nothing when nothing is, or when the path is gone already', async () => {
    const { store, a } = await chain();
    expect(await unregisterDamaged(store, [])).toEqual([]);
    const gone = infoOf('gone', TREE).path;
    expect(await unregisterDamaged(store, [{ path: gone, problem: 'missing', detail: '' }])).toEqual([]);
    expect((await store.queryAll()).size).toBe(3);
    expect((await store.queryInfos([a.path])).size).toBe(1);
  });
});

it('a path that is collected while it is verified is no problem', async () => {
  const { store, a, b, c } = await chain();
  let collected: Promise<unknown> | undefined;
  const late: typeof pool = {
    ...pool,
    async run(job, options) {
      collected ??= collectGarbage(store);
      await collected;
      return pool.run(job, options);
    },
  };
  const { problems, checked } = await verifyStore(store, store, { pool: late });
  expect(checked).toBe(3);
  expect(problems).toEqual([]);
  expect((await store.queryInfos([a.path, b.path, c.path])).size).toBe(0);
});

function rewrite(path: string, content: string): void {
  replace(path, () => writeFileSync(path, content, { mode: 0o444 }));
}

function replace(path: string, write: () => void): void {
  rmSync(path);
  write();
}
