import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { writeNarInfo } from '#cache/binary-cache.js';
import { setPin } from '#cache/pins/set.js';
import { type PullRequest, pullClosure } from '#cache/pull/session.js';
import { createOwnTarget } from '#cache/pull/target.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import { signPath } from '#lib/signing/signature.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { useDirectory } from '../../support/files.js';
import { usePool } from '../../support/pool.js';
import { useSampleCache } from '../../support/sample-cache.js';
import { NO_LINKS, narInfosOf, pinPolicy, SEEN_NOTHING } from '../../support/transfers.js';

describe('a pull from caches with two builds of a path', () => {
  const sample = useSampleCache();
  const directory = useDirectory();
  const pool = usePool(1);
  let cache: string;
  let objects: WriteStore;
  let store: OwnStore;
  const { signal } = new AbortController();
  const trust = () => pinPolicy({ keys: [sample().key.publicKey], allowUnsigned: false });
  const pull = (changes: Partial<PullRequest> & Pick<PullRequest, 'targets'>, { from }: { from: ObjectStore[] }) => {
    const request = {
      ...{ destination: createOwnTarget(store), trust: trust(), seen: SEEN_NOTHING, links: NO_LINKS, dryRun: false },
      ...changes,
    };
    return pullClosure(from, request, { pool, emit: () => undefined, signal });
  };
  const registered = async () => [...(await store.queryAll()).keys()];
  const TOOL = { pin: { text: 'tool', name: 'tool' } };
  /** Has another build of a path than `objects`: the content of `as`, well signed. */
  let other: WriteStore;
  const rebuild = async ({ path }: PathInfo, as: PathInfo, references: readonly string[] = []) => {
    const info = { ...(await narInfosOf(cache)).get(as.path)!, path, references };
    await writeNarInfo(other, { ...info, signatures: [signPath(info, sample().key)] });
  };
  const loseNar = async ({ path }: PathInfo) => rm(join(cache, (await narInfosOf(cache)).get(path)!.url));
  const hashOf = async ({ path }: PathInfo) => (await store.queryInfos([path])).get(path)?.narHash;
  const lockOf = ({ narHash }: PathInfo, toolchain = 'tools') => ({
    ...{ narHash, toolchain, file: 'carport.lock', since: '2026-01-02T00:00:00.000Z' },
  });
  const lockedTarget = (info: PathInfo, content = info) => ({
    ...{ hashPart: hashPartOf(info.path), path: info.path, locked: lockOf(content) },
  });
  beforeEach(async () => {
    const { base, top } = sample().samples;
    cache = await sample().copy(join(directory(), 'cache'));
    objects = openFileStore(cache);
    store = openOwnStore(join(directory(), 'store'));
    other = openFileStore(await sample().copy(join(directory(), 'other')));
    await rebuild(base, top);
  });

  it('takes no other build from the next cache than the lock says', async () => {
    const { base, top } = sample().samples;
    await loseNar(base);
    for (const dryRun of [true, false]) {
      const pulled = pull({ targets: [lockedTarget(base)], dryRun }, { from: [objects, other] });
      await expect(pulled).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    }
    expect(await registered()).toEqual([]);
    await pull({ targets: [lockedTarget(base, top)] }, { from: [objects, other] });
    expect(await hashOf(base)).toEqual(top.narHash);
  });

  it('keeps to the lock whatever else names the path', async () => {
    const { base, middle, top } = sample().samples;
    let stores = 0;
    const signing = { keys: [sample().key], policy: trust(), seen: SEEN_NOTHING };
    const request = { name: 'tool', expiresAt: null, keep: 30, discardHistory: false };
    await setPin(other, { storePaths: [base.path, middle.path], derivations: [] }, request, signing);
    for (const another of [{ hashPart: hashPartOf(base.path) }, TOOL, { hashPart: hashPartOf(middle.path) }]) {
      for (const targets of [
        [lockedTarget(base), another],
        [another, lockedTarget(base)],
      ]) {
        store = openOwnStore(join(directory(), `store-${stores++}`));
        await pull({ targets }, { from: [other, objects] });
        expect(await hashOf(base)).toEqual(base.narHash);
      }
    }
    const both = [lockedTarget(base), { ...lockedTarget(base), locked: lockOf(top, 'others') }];
    await expect(pull({ targets: both }, { from: [other, objects] })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
  });

  it('tells when somebody else was the first to register another build', async () => {
    const { base, top } = sample().samples;
    const own = createOwnTarget(store);
    const destination: PullRequest['destination'] = {
      ...{ ...own, takesAhead: false },
      async receive(...args) {
        await pull({ targets: [{ hashPart: hashPartOf(base.path) }] }, { from: [other] });
        return own.receive(...args);
      },
    };
    const pulled = pull({ targets: [lockedTarget(base)], destination }, { from: [objects] });
    await expect(pulled).rejects.toMatchObject({ code: 'E_INTEGRITY', message: expect.stringContaining('`tools`') });
    expect(await hashOf(base)).toEqual(top.narHash);
  });

  it('takes no build that needs what was not planned', async () => {
    const { base, middle, top } = sample().samples;
    await rebuild(middle, top, [base.path, top.path]);
    await loseNar(middle);
    const targets = [{ hashPart: hashPartOf(middle.path) }];
    await expect(pull({ targets }, { from: [objects, other] })).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    expect(await registered()).not.toContain(middle.path);
    await rebuild(middle, top, [base.path]);
    await pull({ targets }, { from: [objects, other] });
    expect(await hashOf(middle)).toEqual(top.narHash);
  });
});
