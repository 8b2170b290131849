import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readNarInfo, writeNarInfo } from '#cache/binary-cache.js';
import { hashBytes, hashesEqual } from '#lib/nix/hash.js';
import { parseNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { verifyPath } from '#lib/signing/signature.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { sampleKey } from '../../support/samples.js';
import { useCacheServers } from '../../support/serve.js';
import { useStores } from '../../support/stores.js';

const sample = useSampleCache();
const serve = useCacheServers();
const openStores = useStores();
const ofSamples = () => [openFileStore(sample().cache)];

describe('what is served', () => {
  it('is a binary cache with the store dir and the best priority of its caches', async () => {
    const two = await sample().copy(sample().shared.path('two'));
    await writeFile(join(two, 'nix-cache-info'), 'StoreDir: /nix/store\nPriority: 41\n');
    const { get } = await serve({ caches: [openFileStore(two), openFileStore(await withPriority(37))] });
    const { status, body, headers } = await get('/nix-cache-info');
    expect([status, body.toString()]).toEqual([200, 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 37\n']);
    expect(headers['content-length']).toBe(String(body.length));
  });

  it('is a narinfo whose signatures hold, and which names the plain NAR', async () => {
    const { get } = await serve({ caches: ofSamples() });
    for (const path of sample().samples.paths) {
      const hashPart = hashPartOf(path);
      const info = parseNarInfo((await get(`/${hashPart}.narinfo`)).body.toString('latin1'));
      const before = (await readNarInfo(ofSamples()[0]!, hashPart))!;
      expect(verifyPath(info, [sample().key.publicKey]).state).toBe('valid');
      const { url, compression, fileHash, fileSize, ...rest } = info;
      const { url: _u, compression: _c, fileHash: _h, fileSize: _s, ...same } = before;
      expect(rest).toEqual(same);
      expect([compression, fileSize, fileHash]).toEqual(['none', info.narSize, info.narHash]);
      const nar = await get(`/${url}`);
      expect(hashesEqual(hashBytes('sha256', nar.body), info.narHash)).toBe(true);
      expect(nar.headers).toMatchObject({ 'content-length': String(info.narSize), 'accept-ranges': 'none' });
    }
  });

  it('has listings, logs and realisations as they are in the first cache that has them', async () => {
    const copy = await sample().copy(sample().shared.path('three'));
    const objects = openFileStore(copy);
    const drv = `${'a'.repeat(32)}-x.drv`;
    const id = `sha256:${'0'.repeat(64)}!out`;
    const files = {
      [`log/${drv}`]: 'built it',
      [`realisations/${id}.doi`]: '{}',
      [`build-trace-v2/${drv}/out.doi`]: '[]',
    };
    for (const [key, text] of Object.entries(files)) await objects.put(key, Buffer.from(text), { contentType: 'x/x' });
    const { get } = await serve({ caches: [...ofSamples(), objects] });
    for (const [key, text] of Object.entries(files)) expect((await get(`/${key}`)).body.toString()).toBe(text);
    const encoded = `/realisations/sha256%3A${'0'.repeat(64)}%21out.doi`;
    expect((await get(encoded)).body.toString()).toBe('{}');
    const listing = `${hashPartOf(sample().samples.base.path)}.ls`;
    expect((await get(`/${listing}`)).body).toEqual(await readFile(join(copy, listing)));
  });

  it('answers HEAD as GET, without the body', async () => {
    const { get } = await serve({ caches: ofSamples() });
    const narinfo = `/${hashPartOf(sample().samples.top.path)}.narinfo`;
    const { url } = parseNarInfo((await get(narinfo)).body.toString('latin1'));
    for (const path of [narinfo, `/${url}`, '/nix-cache-info', '/', `/${hashPartOf(sample().samples.top.path)}.ls`]) {
      const [got, head] = [await get(path), await get(path, { method: 'HEAD' })];
      expect([path, head.status, head.body.length]).toEqual([path, 200, 0]);
      expect(head.headers['content-length']).toBe(got.headers['content-length']);
      expect(head.headers['content-length']).toBe(String(got.body.length));
    }
  });

  it('tells a browser in one line what it is', async () => {
    const { body, headers } = await (await serve({ caches: ofSamples() })).get('/');
    expect([body.toString().trimEnd().split('\n').length, headers['content-type']]).toEqual([
      1,
      'text/plain; charset=utf-8',
    ]);
  });
});

describe('caches that fail', () => {
  it('are passed over for the next, also in the middle of a NAR', async () => {
    const { base } = sample().samples;
    const spoiled = await sample().copy(sample().shared.path('spoiled'));
    const info = (await readNarInfo(openFileStore(spoiled), hashPartOf(base.path)))!;
    const nar = await readFile(join(spoiled, info.url));
    nar[nar.length >> 1]! ^= 1;
    await writeFile(join(spoiled, info.url), nar);
    const { get, events } = await serve({ caches: [openFileStore(spoiled), ...ofSamples()] });
    const served = parseNarInfo((await get(`/${hashPartOf(base.path)}.narinfo`)).body.toString('latin1'));
    const { body } = await get(`/${served.url}`);
    expect(hashesEqual(hashBytes('sha256', body), info.narHash)).toBe(true);
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'warning', message: expect.stringMatching(/damaged/) }),
    );
    expect(events).toContainEqual(expect.objectContaining({ type: 'nar-fetched', cache: `file://${sample().cache}` }));
  });

  it('let Nix go on to its next substituter where none has the right NAR', async () => {
    const directory = sample().shared.path('wrong');
    const objects = openFileStore(directory);
    const path = `/nix/store/${'b'.repeat(32)}-large`;
    const [right, wrong] = [randomBytes(3_000_000), randomBytes(3_000_000)];
    wrong.set(right.subarray(0, 2_500_000));
    await writeFile(join(await sample().copy(directory), 'nar/large.nar'), wrong);
    const common = {
      path,
      url: 'nar/large.nar',
      compression: 'none',
      references: [],
      signatures: [],
      unknownFields: [],
    };
    await writeNarInfo(objects, { ...common, narHash: hashBytes('sha256', right), narSize: right.length });
    const { get } = await serve({ caches: [objects] });
    const served = parseNarInfo((await get(`/${hashPartOf(path)}.narinfo`)).body.toString('latin1'));
    const asked = await get(`/${served.url}`);
    expect([asked.status, asked.isWhole]).toEqual([200, false]);
    expect(asked.body.length).toBeLessThan(right.length);
    // What is small has a status.
    const { base } = sample().samples;
    const info = (await readNarInfo(objects, hashPartOf(base.path)))!;
    await writeFile(join(directory, info.url), 'nonsense');
    const small = parseNarInfo((await get(`/${hashPartOf(base.path)}.narinfo`)).body.toString('latin1'));
    expect((await get(`/${small.url}`)).status).toBe(404);
  });

  it('that are not there are 503, or 404 where they may be away', async () => {
    const { open } = await openStores();
    const options = { patienceMs: 100 };
    const gone = () => open('http://127.0.0.1:9', options).objects;
    const path = `/${hashPartOf(sample().samples.base.path)}.narinfo`;
    const patient = await serve({ caches: [gone()] });
    expect([(await patient.get(path)).status, (await patient.get('/nix-cache-info')).status]).toEqual([503, 503]);
    const offline = await serve({ caches: [gone()], offlineOk: true });
    expect((await offline.get(path)).status).toBe(404);
    expect((await offline.get('/nix-cache-info')).body.toString()).toBe('StoreDir: /nix/store\nWantMassQuery: 1\n');
    const both = await serve({ caches: [gone(), ...ofSamples()] });
    expect([(await both.get(path)).status, (await both.get(`/${'0'.repeat(32)}.narinfo`)).status]).toEqual([200, 404]);
    expect(both.events.filter(({ type }) => type === 'warning')).toHaveLength(1);
  });

  it('that are for another store dir are not used', async () => {
    const other = await sample().copy(sample().shared.path('other'));
    await writeFile(join(other, 'nix-cache-info'), 'StoreDir: /elsewhere\n');
    const { get, events } = await serve({ caches: [late(ofSamples()[0]!), openFileStore(other)] });
    expect((await get('/nix-cache-info')).body.toString()).toContain('StoreDir: /nix/store\n');
    expect(events).toContainEqual(expect.objectContaining({ message: expect.stringContaining('/elsewhere') }));
  });
});

it('prefers the narinfo that a trusted key has signed, and serves any where there is none', async () => {
  const { base } = sample().samples;
  const unsigned = await sample().copy(sample().shared.path('unsigned'));
  const objects = openFileStore(unsigned);
  await writeNarInfo(objects, { ...(await readNarInfo(objects, hashPartOf(base.path)))!, signatures: [] });
  const signaturesOf = async (keys: Parameters<typeof serve>[0]['keys']) => {
    const { get } = await serve({ caches: [objects, ...ofSamples()], ...(keys && { keys }) });
    return parseNarInfo((await get(`/${hashPartOf(base.path)}.narinfo`)).body.toString('latin1')).signatures.length;
  };
  expect(await signaturesOf([sample().key.publicKey])).toBe(1);
  expect(await signaturesOf([sampleKey('nobody').publicKey])).toBe(0);
  expect(await signaturesOf(undefined)).toBe(0);
});

/** A cache that answers when others have done so. */
function late(objects: ObjectStore): ObjectStore {
  const read: ObjectStore['read'] = async (...args) => {
    await new Promise((resolve) => setTimeout(resolve, 500));
    return objects.read(...args);
  };
  return { ...objects, read };
}

async function withPriority(priority: number): Promise<string> {
  const copy = await sample().copy(sample().shared.path(`priority-${priority}`));
  await writeFile(join(copy, 'nix-cache-info'), `StoreDir: /nix/store\nPriority: ${priority}\n`);
  return copy;
}
