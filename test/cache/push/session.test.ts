import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { writeCacheInfo } from '#cache/binary-cache.js';
import { narInfoKey, realisationKey } from '#cache/layout.js';
import { setPin } from '#cache/pins/set.js';
import type { PushEvent } from '#cache/push/events.js';
import { checkPushTarget, type PushRequest, pushClosure } from '#cache/push/session.js';
import { CarportError } from '#lib/errors.js';
import { realisationId } from '#lib/nix/realisation.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import type { SecretKey } from '#lib/signing/key.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { openOwnStore } from '#lib/store/own/own-store.js';
import { useDirectory } from '../../support/files.js';
import { parsePin } from '../../support/pins.js';
import { usePool } from '../../support/pool.js';
import { createSampleStore, type SampleStore, sampleKey, snapshot } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { faultsOf, narInfosOf, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';
import { watchStore } from '../../support/watched-store.js';

const [KEY, OTHER] = [sampleKey('test-1'), sampleKey('other-1', 2)];
const PIN = { name: 'tool', expiresAt: null, keep: 30, discardHistory: false };

describe('pushClosure', () => {
  const shared = useSandbox('all');
  const directory = useDirectory();
  const pool = usePool();
  let samples: SampleStore;
  let cache: string;
  let objects: WriteStore;
  let events: PushEvent[];
  beforeAll(async () => {
    samples = await createSampleStore(shared().root);
  });
  beforeEach(() => {
    cache = join(directory(), 'cache');
    objects = openFileStore(cache);
    events = [];
  });

  const signingOf = (key: SecretKey) => ({
    keys: [key],
    policy: pinPolicy({ keys: [], allowUnsigned: false }),
    seen: SEEN_NOTHING,
  });
  const requestOf = async (changes: Partial<PushRequest> = {}): Promise<PushRequest> => {
    const store = openOwnStore(samples.root);
    return {
      store,
      own: store,
      closure: await runtimeClosure(store, [samples.top.path]),
      keys: [KEY],
      packing: { compression: 'zstd', level: 3, listing: false },
      pins: { requests: [PIN], signing: signingOf(KEY) },
      checkAll: false,
      realisations: [],
      skipSignedBy: { names: [], origin: 'the test' },
      dryRun: false,
      ...changes,
    };
  };
  const push = async (
    changes: Partial<PushRequest> = {},
    { to = objects, signal = new AbortController().signal } = {},
  ) => pushClosure(to, await requestOf(changes), { pool, emit: (event) => events.push(event), signal });
  const types = () => events.map(({ type }) => type).filter((type) => type !== 'progress' && !type.startsWith('path-'));

  it('makes a whole cache and then the pin, and tells it in that order', async () => {
    const summary = await push();
    expect(summary).toMatchObject({ paths: 3, present: 0, transferred: 3, signed: 0, storePaths: samples.paths });
    expect(await faultsOf(cache)).toEqual([]);
    expect([...(await narInfosOf(cache)).keys()].sort()).toEqual([...samples.paths].sort());
    const pin = parsePin(await readFile(join(cache, 'carport/pins/tool.json'), 'utf8'));
    expect(pin.storePaths).toEqual([samples.top.path]);
    expect(types()).toEqual(['plan', 'pin', 'summary']);
    expect(events.at(-1)).toEqual({ type: 'summary', verb: 'push', ...summary });
  });

  it('goes on without listings where the server takes none, and says so once', async () => {
    const refusing: WriteStore = {
      ...objects,
      put(key, body, metadata) {
        if (!key.endsWith('.ls')) return objects.put(key, body, metadata);
        return Promise.reject(new CarportError('E_REMOTE', `\`${key}\` is not taken`));
      },
    };
    await push({ packing: { compression: 'zstd', level: 3, listing: true } }, { to: refusing });
    expect(await faultsOf(cache)).toEqual([]);
    const warnings = events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    expect(warnings).toEqual([expect.stringContaining('takes no listings')]);
  });

  it('writes each narinfo after those of its references, and pins last of all', async () => {
    const { objects: watched, changes } = watchStore(objects);
    await push({}, { to: watched });
    const puts = changes()
      .filter((call) => !call.includes(' carport/leases/'))
      .map((call) => call.replace(/^put /, ''));
    const at = (path: string) => puts.indexOf(narInfoKey(hashPartOf(path)));
    expect(puts[0]).toBe('nix-cache-info');
    expect([at(samples.base.path), at(samples.middle.path), at(samples.top.path)]).toEqual(
      [at(samples.base.path), at(samples.middle.path), at(samples.top.path)].sort((a, b) => a - b),
    );
    expect(puts.slice(-2)).toEqual(['carport/pins/tool.json', 'carport/pins.json']);
  });

  it('writes realisations before what refers to their paths, however deep these are', async () => {
    const { objects: watched, changes } = watchStore(objects);
    const realised = [samples.base, samples.middle, samples.top].map(({ path }, number) => ({
      ...{ id: realisationId(String(number).repeat(64), 'out'), outPath: path },
      ...{ dependentRealisations: {}, signatures: [] },
    }));
    await push({ realisations: realised }, { to: watched });
    const puts = changes().map((call) => call.replace(/^put /, ''));
    const wanted = realised.flatMap(({ id, outPath }) => [narInfoKey(hashPartOf(outPath)), realisationKey(id)]);
    const first = [...new Set(puts)].filter((key) => wanted.includes(key));
    expect(first).toEqual(wanted);
  });

  it('plans anew when somebody else makes the cache between its plan and its lease', async () => {
    let isFirst = true;
    const { objects: watched } = watchStore(objects, async (call) => {
      if (!isFirst || !call.startsWith('put carport/leases/')) return;
      isFirst = false;
      await push({ pins: { requests: [], signing: signingOf(KEY) } });
    });
    expect(await push({}, { to: watched })).toMatchObject({ present: 3, transferred: 0 });
    expect(await faultsOf(cache)).toEqual([]);
  });

  it('keeps the signatures of a push that comes between', async () => {
    let isFirst = true;
    const { objects: watched } = watchStore(objects, async (call) => {
      if (!isFirst || call !== `read ${narInfoKey(hashPartOf(samples.middle.path))}`) return;
      isFirst = false;
      await push({ keys: [OTHER], pins: { requests: [], signing: signingOf(OTHER) } });
    });
    await push({}, { to: watched });
    expect(isFirst).toBe(false);
    for (const info of (await narInfosOf(cache)).values()) {
      expect(info.signatures.map((text) => text.split(':')[0]).sort()).toEqual(['other-1', 'test-1']);
    }
  });

  it('signs again what a push that did not see it has written over', async () => {
    let isFirst = true;
    const { objects: watched } = watchStore(objects, async (call) => {
      if (!isFirst || call !== `put ${narInfoKey(hashPartOf(samples.top.path))}`) return;
      isFirst = false;
      const key = narInfoKey(hashPartOf(samples.base.path));
      const text = (await readFile(join(cache, key), 'latin1')).replace(/^Sig: test-1:.*$/m, 'Sig: other-1:AAAA');
      await objects.put(key, Buffer.from(text, 'latin1'), { contentType: 'text/x-nix-narinfo' });
      await objects.put('carport/leases/aaaa.json', Buffer.from('{}'), { contentType: 'application/json' });
    });
    await push({}, { to: watched });
    const base = (await narInfosOf(cache)).get(samples.base.path)!;
    expect(base.signatures.map((text) => text.split(':')[0]).sort()).toEqual(['other-1', 'test-1']);
  });

  it('sends nothing the second time, and signs with another key what is there', async () => {
    await push({ pins: { requests: [], signing: signingOf(KEY) } });
    expect(await push()).toMatchObject({ present: 3, transferred: 0, signed: 0, fileSize: 0 });
    expect(await push({ keys: [KEY, OTHER] })).toMatchObject({ present: 3, transferred: 0, signed: 3 });
  });

  it('changes nothing in a dry run, gives what would be sent, and throws what a push would', async () => {
    expect(await push({ dryRun: true })).toMatchObject({ transferred: 0, fileSize: 0, storePaths: samples.paths });
    expect(types()).toEqual(['plan']);
    expect(await snapshot(directory())).toEqual({});
    const skipSignedBy = { names: [], origin: 'the test' };
    await writeCacheInfo(objects, { storeDir: '/elsewhere/store' });
    await expect(push({ dryRun: true, skipSignedBy })).rejects.toThrow('/elsewhere/store');
  });

  it('throws before anything is sent when a pin cannot be set', async () => {
    await push({ pins: { requests: [], signing: signingOf(OTHER) } });
    const value = { storePaths: [samples.base.path], derivations: [] };
    await setPin(objects, value, PIN, signingOf(OTHER));
    await rm(join(cache, narInfoKey(hashPartOf(samples.top.path))));
    const before = await snapshot(cache);
    await expect(push()).rejects.toMatchObject({ code: 'E_SIGNATURE', message: expect.stringContaining('`tool`') });
    await expect(checkPushTarget(objects, '/nix/store', (await requestOf()).pins)).rejects.toThrow('`tool`');
    expect(await snapshot(cache)).toEqual(before);
  });

  it('leaves a whole cache when a pin fails at the end, and sets it when it is pushed again', async () => {
    const { objects: failing } = watchStore(objects, (call) => {
      if (call.startsWith('put carport/pins/')) throw new Error('no pins today');
    });
    await expect(push({}, { to: failing })).rejects.toThrow('no pins today');
    expect(types()).toEqual(['plan']);
    expect(await faultsOf(cache)).toEqual([]);
    expect(await push()).toMatchObject({ transferred: 0 });
    expect(types().slice(-2)).toEqual(['pin', 'summary']);
  });

  it('begins nothing more when it is aborted, and what is visible is whole', async () => {
    const stop = new AbortController();
    const { objects: watched } = watchStore(objects, (call) => {
      if (call === `put ${narInfoKey(hashPartOf(samples.base.path))}`) stop.abort(new Error('enough'));
    });
    await expect(push({}, { to: watched, signal: stop.signal })).rejects.toThrow('enough');
    expect([...(await narInfosOf(cache)).keys()]).toEqual([samples.base.path]);
    expect(await faultsOf(cache)).toEqual([]);
    expect(types()).toEqual(['plan']);
    expect(await push()).toMatchObject({ transferred: 2 });
  });

  it('throws when the cache is erased meanwhile, and sets no pin', async () => {
    const { objects: erased } = watchStore(objects, async (call) => {
      if (call.endsWith('.narinfo') && call.startsWith('put ')) await rm(join(cache, 'nix-cache-info'));
    });
    const one = { closure: await runtimeClosure(openOwnStore(samples.root), [samples.base.path]) };
    await expect(push(one, { to: erased })).rejects.toThrow('was erased during the push');
    expect(types()).toEqual(['plan']);
  });

  it('refuses a pin for what is left out', async () => {
    const signed = await requestOf();
    const graph = new Map(
      [...signed.closure.graph].map(([path, info]) => [path, { ...info, signatures: ['upstream:c2ln'] }] as const),
    );
    const skipSignedBy = { names: ['upstream'], origin: 'CARPORT_SKIP' };
    await expect(push({ closure: { ...signed.closure, graph }, skipSignedBy })).rejects.toMatchObject({
      code: 'E_USAGE',
      cause: { message: expect.stringContaining('CARPORT_SKIP') },
    });
    expect(await snapshot(directory())).toEqual({});
  });

  it('warns with what the warning is about', async () => {
    await push({ pins: { requests: [], signing: signingOf(KEY) } });
    const { url } = (await narInfosOf(cache)).get(samples.top.path)!;
    await rm(join(cache, url));
    await push({ checkAll: true });
    expect(events).toContainEqual({
      type: 'warning',
      about: { path: samples.top.path },
      message: expect.stringContaining('is sent again'),
    });
  });
});
