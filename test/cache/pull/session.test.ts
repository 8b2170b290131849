import { readdir, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { setPin } from '#cache/pins/set.js';
import type { PullEvent } from '#cache/pull/events.js';
import { type PullRequest, pullClosure } from '#cache/pull/session.js';
import { createOwnTarget } from '#cache/pull/target.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import { prepareOutLinks } from '#lib/store/own/out-links.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { readPulledPin } from '#lib/store/own/pulled-pins.js';
import { useDirectory } from '../../support/files.js';
import { usePool } from '../../support/pool.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { NO_LINKS, narInfosOf, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';
import { watchStore } from '../../support/watched-store.js';

describe('pullClosure', () => {
  const sample = useSampleCache();
  const directory = useDirectory();
  const pool = usePool();
  let cache: string;
  let objects: WriteStore;
  let store: OwnStore;
  let events: PullEvent[];
  beforeEach(async () => {
    cache = await sample().copy(join(directory(), 'cache'));
    objects = openFileStore(cache);
    store = openOwnStore(join(directory(), 'store'));
    events = [];
  });

  const trust = () => pinPolicy({ keys: [sample().key.publicKey], allowUnsigned: false });
  const pull = (
    changes: Partial<PullRequest> = {},
    { from = [objects], signal = new AbortController().signal }: { from?: ObjectStore[]; signal?: AbortSignal } = {},
  ) => {
    const request = {
      targets: [{ hashPart: hashPartOf(sample().samples.top.path) }],
      destination: createOwnTarget(store),
      trust: trust(),
      seen: SEEN_NOTHING,
      links: NO_LINKS,
      dryRun: false,
      ...changes,
    };
    return pullClosure(from, request, { pool, emit: (event) => events.push(event), signal });
  };
  const registered = async () => [...(await store.queryAll()).keys()].sort();
  const types = () => events.map(({ type }) => type).filter((type) => type !== 'progress' && !type.startsWith('path-'));
  const pin = async (storePaths: readonly string[]) => {
    const signing = { keys: [sample().key], policy: trust(), seen: SEEN_NOTHING };
    const request = { name: 'tool', expiresAt: null, keep: 30, discardHistory: false };
    await setPin(objects, { storePaths, derivations: [] }, request, signing);
  };
  const TOOL = { pin: { text: 'tool', name: 'tool' } };

  it('registers the closure, and gives it dependencies first', async () => {
    const { paths } = sample().samples;
    const summary = await pull();
    expect(summary).toMatchObject({ paths: 3, present: 0, transferred: 3, storePaths: paths });
    expect(await registered()).toEqual([...paths].sort());
    expect(types()).toEqual(['plan', 'summary']);
    expect(events.at(-1)).toEqual({ type: 'summary', verb: 'pull', ...summary });
    expect(await pull()).toMatchObject({ present: 3, transferred: 0, fileSize: 0 });
  });

  it('finds what a pin stands for, and notes that with its paths', async () => {
    const { middle, base } = sample().samples;
    await pin([middle.path]);
    expect(await pull({ targets: [TOOL] })).toMatchObject({ storePaths: [base.path, middle.path] });
    expect(await readPulledPin(store, 'tool')).toMatchObject({ storePaths: [middle.path], from: objects.url });
  });

  it('throws for a pin that is not there before it asks for paths', async () => {
    const { objects: watched, calls } = watchStore(objects);
    await expect(pull({ targets: [TOOL] }, { from: [watched] })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(calls.filter((call) => call.endsWith('.narinfo'))).toEqual([]);
    expect(await registered()).toEqual([]);
  });

  it('makes the links when the paths are there', async () => {
    const destination = createOwnTarget(store);
    const link = join(directory(), 'result');
    await pull({ destination, links: await prepareOutLinks(link, destination.makeOutLink) });
    expect(await readlink(link)).toContain(sample().samples.top.path.slice('/nix/store/'.length));
  });

  it('fetches nothing when a link cannot be made', async () => {
    const refuse = () => Promise.reject(new Error('no room for a link'));
    await expect(pull({ links: { ...NO_LINKS, check: refuse } })).rejects.toThrow('no room for a link');
    expect(types()).toEqual([]);
    expect(await registered()).toEqual([]);
  });

  it('changes nothing in a dry run, gives what would be fetched, and looks whether it is there', async () => {
    const { paths, base } = sample().samples;
    expect(await pull({ dryRun: true })).toMatchObject({ transferred: 0, storePaths: paths });
    expect(types()).toEqual(['plan']);
    expect(await readdir(directory())).toEqual(['cache']);
    await rm(join(cache, (await narInfosOf(cache)).get(base.path)!.url));
    await expect(pull({ dryRun: true })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('takes from the next cache what one has lost, and says which path of which cache', async () => {
    const other = openFileStore(await sample().copy(join(directory(), 'other')));
    const { base } = sample().samples;
    await rm(join(cache, (await narInfosOf(cache)).get(base.path)!.url));
    await pull({}, { from: [objects, other] });
    expect(events).toContainEqual({
      type: 'warning',
      about: { path: base.path, cache: objects.url },
      message: expect.stringContaining('trying the next cache'),
    });
    expect(await registered()).toHaveLength(3);
  });

  it('begins nothing more when it is aborted, and what is registered is whole', async () => {
    const stop = new AbortController();
    const { base } = sample().samples;
    const emit = (event: PullEvent) => {
      if (event.type === 'path-finished' && event.path === base.path) stop.abort(new Error('enough'));
    };
    const request = {
      targets: [{ hashPart: hashPartOf(sample().samples.top.path) }],
      destination: createOwnTarget(store),
      trust: trust(),
      seen: SEEN_NOTHING,
      links: NO_LINKS,
      dryRun: false,
    };
    await expect(pullClosure([objects], request, { pool, emit, signal: stop.signal })).rejects.toThrow('enough');
    expect(await registered()).toEqual([base.path]);
    expect(await pull()).toMatchObject({ present: 1, transferred: 2 });
  });

  it('leaves nothing of what it took before it knew that not all can be had', async () => {
    const { base } = sample().samples;
    await rm(join(cache, `${hashPartOf(base.path)}.narinfo`));
    await expect(pull()).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(types()).toEqual([]);
    const { realStoreDir, infoDir, claimsDir } = store.layout;
    for (const made of [realStoreDir, infoDir, claimsDir]) expect(await readdir(made)).toEqual([]);
  });

  it('asks for nothing when it is aborted before', async () => {
    const { objects: watched, calls } = watchStore(objects);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(pull({}, { from: [watched], signal })).rejects.toThrow('enough');
    expect(calls).toEqual([]);
    expect(types()).toEqual([]);
  });
});
