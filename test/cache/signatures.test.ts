import { readFile, rm } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { readNarInfo, writeNarInfo } from '#cache/binary-cache.js';
import { narInfoKey } from '#cache/layout.js';
import { planPush } from '#cache/push/plan.js';
import { publishPlan } from '#cache/push/publish.js';
import { addSignatures, signClosures } from '#cache/signatures.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { parseSecretKey, type SecretKey } from '#lib/signing/key.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { createWorkerPool } from '#lib/workers/pool.js';
import { useSampleCache } from '../support/sample-cache.js';
import { sampleKey, snapshot } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';

const NEW = sampleKey('new-1', 2);

describe('a signature that is added to a narinfo', () => {
  const sample = useSampleCache();
  const box = useSandbox();
  let cache: string;
  let objects: ObjectStore;
  let own: SecretKey;
  let path: string;
  let old: NarInfo;
  beforeEach(async () => {
    cache = await sample().copy(box().path('cache'));
    objects = openFileStore(cache);
    own = parseSecretKey(await readFile(sample().keyFile.file, 'utf8'));
    path = sample().samples.top.path;
    old = (await readNarInfo(objects, hashPartOf(path)))!;
  });

  const names = async () =>
    (await readNarInfo(objects, hashPartOf(path)))!.signatures.map((text) => text.replace(/:.*/, '')).sort();

  it('is beside those that others have added meanwhile', async () => {
    await addSignatures(objects, old, [sampleKey('other-1', 3)]);
    await addSignatures(objects, old, [NEW]);
    expect(await names()).toEqual(['new-1', 'other-1', own.name].sort());
  });

  it('leaves all else as others have written it', async () => {
    await writeNarInfo(objects, { ...old, url: 'nar/elsewhere.nar', compression: 'none' });
    await addSignatures(objects, old, [NEW]);
    expect(await readNarInfo(objects, hashPartOf(path))).toMatchObject({ url: 'nar/elsewhere.nar' });
  });

  it.each<[string, Partial<NarInfo>]>([
    ['another hash', { narHash: hashBytes('sha256', 'other') }],
    ['another size', { narSize: 8 }],
    ['other references', { references: [] }],
  ])('is not made when it has %s by now', async (_, changes) => {
    await writeNarInfo(objects, { ...old, ...changes });
    const before = await snapshot(cache);
    await expect(addSignatures(objects, old, [NEW])).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      hint: 'run it again',
      message: expect.stringContaining(path),
    });
    expect(await snapshot(cache)).toEqual(before);
  });

  it('does not bring one back that was erased', async () => {
    await rm(`${cache}/${narInfoKey(hashPartOf(path))}`);
    await rm(`${cache}/${old.url}`);
    const before = await snapshot(cache);
    await expect(addSignatures(objects, old, [NEW])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await snapshot(cache)).toEqual(before);
  });

  it('nor after its closure was looked at', async () => {
    const key = narInfoKey(hashPartOf(path));
    const erasing: ObjectStore = {
      ...objects,
      async read(each, limit) {
        const bytes = await objects.read(each, limit);
        // It is read once before it is signed.
        if (each === key) await rm(`${cache}/${key}`, { force: true });
        return bytes;
      },
    };
    const trust = { keys: [own.publicKey], allowUnsigned: false };
    await expect(signClosures(erasing, [path], [NEW], trust)).rejects.toMatchObject({
      hint: 'somebody has removed it: run it again',
    });
    expect(await readNarInfo(objects, hashPartOf(path))).toBeUndefined();
  });

  it('is not made for a closure of which a NAR has gone', async () => {
    const [dependency] = old.references.filter((reference) => reference !== path);
    await rm(`${cache}/${(await readNarInfo(objects, hashPartOf(dependency!)))!.url}`);
    const before = await snapshot(cache);
    const trust = { keys: [own.publicKey], allowUnsigned: false };
    await expect(signClosures(objects, [path], [NEW], trust)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await snapshot(cache)).toEqual(before);
  });

  it('is planned by a push that has another key, which stops when the narinfo goes', async () => {
    const graph = new Map([[path, { ...old, references: [] }]]);
    await writeNarInfo(objects, { ...old, references: [] });
    const keys = [NEW];
    const plan = await planPush(objects, { graph, keys, checkAll: false, skipSignedBy: [], hasCache: true });
    expect(plan.sign.map((info) => info.path)).toEqual([path]);
    await rm(`${cache}/${narInfoKey(hashPartOf(path))}`);
    const before = await snapshot(cache);
    const pool = createWorkerPool(1);
    const store = openOwnStore(sample().samples.root);
    const packing = { store, pool, compression: 'zstd', level: 3, listing: true, emit: () => undefined } as const;
    try {
      await expect(
        publishPlan(plan, { objects, keys, ...packing }, new AbortController().signal),
      ).rejects.toMatchObject({
        code: 'E_NOT_FOUND',
        hint: 'somebody has removed it: run it again',
      });
    } finally {
      await pool.close();
    }
    expect(await snapshot(cache)).toEqual(before);
  });
});
