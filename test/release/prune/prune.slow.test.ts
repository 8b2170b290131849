import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { FRAGMENT, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import { type PlannedPruning, type PruneRequest, planPrune, prune } from '#release/prune/session.js';
import { putRelease as putFiles } from '#release/put/session.js';
import { readSources } from '#release/sources/sources.js';
import { channelRule } from '#release/version.js';
import { renderPin } from '../../support/pins.js';
import { hashesIn, PUT_WORK, putDocument, putRelease, TEST_TARGET, type TestRelease } from '../../support/releases.js';
import { sampleKey } from '../../support/samples.js';
import { useSandbox } from '../../support/sandbox.js';
import { type StoreCall, watchStore } from '../../support/watched-store.js';

const DAY = 86_400_000;
const key = sampleKey('release-1', 1);
const stranger = sampleKey('stranger-1', 2);
/** The files are of today, and the runs are later. */
const START = Date.now();
const later = (days: number) => START + days * DAY;
const timeAt = (days: number) => `${new Date(later(days)).toISOString().slice(0, 19)}Z`;
const commit = (number: number) => number.toString(16).padStart(40, '0');

function requestAt(days: number, rules: Partial<PruneRequest> = {}): PruneRequest {
  return {
    ...{ channel: 'development', keep: 1, keepWithin: 0, grace: 7 * DAY, now: later(days), allowLost: false },
    policy: { keys: [key.publicKey], allowUnsigned: false },
    rulesOf: () => ({ channelOf: channelRule(), requiredTargets: [] }),
    ...rules,
  };
}

/** Plans and does it; gives what was done. */
async function run(objects: ObjectStore, days: number, rules: Partial<PruneRequest> = {}) {
  const request = requestAt(days, rules);
  return doIt(objects, await planPrune(objects, request), request);
}

async function doIt(objects: ObjectStore, planned: PlannedPruning, request: PruneRequest) {
  const done: string[] = [];
  for await (const { action, release } of prune(objects, planned, request, [key])) {
    done.push(`${action} ${/^0+/.test(release.version) ? Number.parseInt(release.version, 16) : release.version}`);
  }
  return done;
}

describe('pruning releases', () => {
  const box = useSandbox();
  const bucket = () => box().path('bucket');
  const store = () => openFileStore(bucket());
  const put = (version: string, days: number, more: Partial<TestRelease> = {}) =>
    putRelease(bucket(), { version, time: timeAt(days), keys: [key], ...more });
  /** Builds 1 to `number`, the first is the newest. */
  const putBuilds = async (number: number) => {
    for (let each = 1; each <= number; each++) await put(commit(each), -each);
  };
  const write = async (at: string, content = '') => {
    await mkdir(dirname(box().path('bucket', at)), { recursive: true });
    await writeFile(box().path('bucket', at), content);
  };
  const keys = async () => [...(await hashesIn(bucket())).keys()];
  const keysOf = async (version: string) => (await keys()).filter((each) => each.split(/[/.]/).includes(version));
  const markKey = (number: number) => versionKey(PRUNINGS, commit(number));

  it('hides, then deletes all of a version and nothing else', async () => {
    await putBuilds(3);
    for (const target of ['x', 'y']) await put(commit(3), -3, { target, files: { a: 'a', b: 'b' } });
    await write(`_releases/${commit(3)}/x/a.sha256`, 'odd');
    await write(`_releases/${commit(3)}/deep/er/still`, 'odd');
    await write(`releases/${commit(3)}/SHA256SUMS`, 'sums');
    await write(`releases/${commit(3)}/SHA256SUMS.minisig`, 'signature');
    await write(`releases/${commit(3)}/other`, 'of somebody');
    await write(`releases/${commit(3)}/SHA256SUMS.other`, 'of somebody');
    const yank = { version: commit(3), reason: 'bad', time: timeAt(0) };
    await putDocument(bucket(), YANK, versionKey(YANKS, commit(3)), yank, [key]);
    await put('v1.0.0', -500);
    const before = await hashesIn(bucket());
    expect(await run(store(), 10, { keep: 2 })).toEqual(['hide 3']);
    expect((await keys()).filter((each) => !before.has(each))).toEqual([markKey(3)]);
    expect(await run(store(), 16, { keep: 2 })).toEqual([]);
    expect(await run(store(), 17, { keep: 2 })).toEqual(['delete 3']);
    const after = await hashesIn(bucket());
    expect(await keysOf(commit(3))).toEqual([`releases/${commit(3)}/SHA256SUMS.other`, `releases/${commit(3)}/other`]);
    const kept = [...before].filter(([each]) => !each.includes(commit(3)) || each.endsWith('other'));
    expect([...after]).toEqual(kept);
    expect(await run(store(), 30, { keep: 2 })).toEqual([]);
  });

  it('takes no version for another whose name begins alike, nor for a part of the index', async () => {
    const extra = ['rc1', 'rc1.2', 'rc1-x', 'latest', 'index.json', 'rc'];
    for (const [index, version] of extra.entries()) await put(version, -10 - index);
    const others = [
      'releases/index.json',
      'releases/latest/extra.json',
      'releases/latest/extra/x/a',
      'releases/rc1.2/SHA256SUMS',
    ];
    await write('releases/index.json', '{"releases":[]}');
    for (const other of others.slice(1)) await write(other);
    await put('zz', -1);
    const rules = { channel: 'extra', keep: 5, grace: 0 } as const;
    expect(await run(store(), 1, rules)).toEqual(['hide index.json', 'hide rc', 'delete index.json', 'delete rc']);
    expect(await run(store(), 1, { ...rules, keep: 4 })).toEqual(['hide latest', 'delete latest']);
    for (const other of others) expect(await keys()).toContain(other);
    await put('yy', -2);
    await put('xx', -3);
    await put('ww', -4);
    expect(await run(store(), 1, { ...rules, keep: 4 })).toEqual([
      ...['hide rc1', 'hide rc1.2', 'hide rc1-x', 'delete rc1', 'delete rc1.2', 'delete rc1-x'],
    ]);
    expect((await keys()).filter((each) => each.includes('rc1'))).toEqual([]);
  });

  it('leaves hostile keys alone', async () => {
    await putBuilds(2);
    const hostile = [
      '_releases/<script>/x/a',
      '_releases/a b/x/a',
      '_releases/x',
      '_releases/-rf/x/a',
      '_releases/…/x/a',
    ];
    for (const each of hostile) await write(each, 'x');
    await write('_releases/~/x/a', 'x');
    const rules = { channel: 'extra', keep: 0, grace: 0 } as const;
    expect(await run(store(), 1, rules)).toEqual([]);
    expect(await keys()).toEqual(expect.arrayContaining(hostile));
  });

  it('stops for what is damaged, and for pins that cannot be read, and changes nothing', async () => {
    await putBuilds(3);
    const damaged = [
      fragmentKey('v1.0.0', 'x'),
      versionKey(PROMOTIONS, 'v1.0.0'),
      versionKey(YANKS, 'v1.0.0'),
      markKey(1),
      'carport/pins/tool.json',
      'carport/pins/<.json',
    ];
    for (const each of damaged) {
      await write(each, '{"schema": 2}');
      const watched = watchStore(store());
      await expect(run(watched.objects, 10), each).rejects.toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining('nothing is pruned'),
        hint: expect.any(String),
      });
      expect(watched.changes()).toEqual([]);
      await store().remove([each]);
    }
    expect(await run(store(), 10)).toEqual(['hide 2', 'hide 3']);
  });

  it('keeps what a pin stands for or stood for, and what was promoted', async () => {
    const path = (number: number) => `/nix/store/${String(number).repeat(32)}-garage`;
    for (const number of [1, 2, 3, 4, 5]) {
      const fragment = await put(commit(number), -number);
      const files = fragment.files.map((file) => ({ ...file, storePath: path(number) }));
      await putDocument(bucket(), FRAGMENT, fragmentKey(commit(number), fragment.target), { ...fragment, files }, [
        key,
      ]);
    }
    const value = { since: '2026-01-01T00:00:00.000Z', derivations: [] };
    const pin = {
      ...{ name: 'tool', id: '0'.repeat(32), updatedAt: value.since, expiresAt: '2026-01-02T00:00:00.000Z' },
      ...{ ...value, storePaths: [path(2)], history: [{ ...value, storePaths: [path(4)] }], signatures: [] },
    };
    await write('carport/pins/tool.json', renderPin(pin));
    await put('v1.0.0', -1, { keys: [stranger], promotion: { from: commit(5), gates: [] } });
    const anyway = { allowLost: true };
    expect(await run(store(), 10, anyway)).toEqual(['hide 3']);
    const promotion = { version: 'v2.0.0', from: commit(3), time: timeAt(0) };
    await putDocument(bucket(), PROMOTION, versionKey(PROMOTIONS, 'v2.0.0'), promotion, [stranger]);
    expect(await run(store(), 20, anyway)).toEqual(['restore 3']);
  });

  it('is refused where a key has signed something that is not trusted, and changes nothing', async () => {
    await putBuilds(3);
    const spoil = [
      () => put(commit(9), -9, { keys: [stranger] }),
      () => putDocument(bucket(), PRUNING, markKey(2), { version: commit(2), time: timeAt(-30) }, [stranger]),
    ];
    for (const each of spoil) {
      await each();
      const before = await hashesIn(bucket());
      await expect(run(store(), 10)).rejects.toMatchObject({
        code: 'E_SIGNATURE',
        cause: expect.objectContaining({ message: expect.stringContaining('signed by `stranger-1`: `carport/') }),
        hint: expect.stringContaining('--allow-lost-signatures'),
      });
      expect(await hashesIn(bucket())).toEqual(before);
    }
    const { warnings } = await planPrune(store(), requestAt(10, { allowLost: true }));
    expect(warnings[0]?.message).toContain('2 documents and signatures');
  });

  it('believes no mark that nobody who is trusted signed', async () => {
    await putBuilds(2);
    for (const signers of [[], [stranger]]) {
      await putDocument(
        bucket(),
        PRUNING,
        markKey(2),
        { version: commit(2), time: timeAt(-30), deleting: true },
        signers,
      );
      const anyway = { allowLost: signers.length > 0 };
      expect(await run(store(), 10, { keep: 2, ...anyway })).toEqual([]);
      expect(await run(store(), 10, anyway)).toEqual(['hide 2']);
      expect(await run(store(), 10, { keep: 2, ...anyway })).toEqual(['restore 2']);
    }
    // Signed for another version.
    await putDocument(bucket(), PRUNING, markKey(2), { version: commit(1), time: timeAt(-30) }, [key]);
    expect(await run(store(), 10, { keep: 2 })).toEqual([]);
  });

  it('never deletes what was put after it was hidden, by a mark of old', async () => {
    await putBuilds(2);
    await run(store(), 10);
    const deletion = { version: commit(2), time: timeAt(10), deleting: true as const };
    expect(await run(store(), 20)).toEqual(['delete 2']);
    // Put again, and somebody who has kept the mark puts that again, too.
    const replay = () => putDocument(bucket(), PRUNING, markKey(2), deletion, [key]);
    for (const target of ['x', 'y']) await put(commit(2), 21, { target });
    await put(commit(1), 29);
    await replay();
    expect(await run(store(), 30)).toEqual(['restore 2']);
    expect(await keysOf(commit(2))).toHaveLength(4);
    await replay();
    await store().remove([fileKey(commit(2), 'y', 'garage')]);
    expect(await run(store(), 30)).toEqual([]);
    const { plan } = await planPrune(store(), requestAt(30));
    expect(plan.kept).toContainEqual({ version: commit(2), reason: 'half-deleted' });
  });

  it('waits for an index that does not show what is deleted', async () => {
    await putBuilds(2);
    expect(await run(store(), 10)).toEqual(['hide 2']);
    for (const index of ['', '[]', '{"releases":{}}', JSON.stringify({ releases: [{ version: commit(2) }] })]) {
      await write('releases/index.json', index);
      expect(await run(store(), 20), index).toEqual([]);
    }
    await write('releases/index.json', JSON.stringify({ releases: [{ version: commit(1) }] }));
    expect(await run(store(), 20)).toEqual(['delete 2']);
  });

  it('is completed by the next run, wherever it was stopped', async () => {
    const deleteAll = (objects: ObjectStore, keep: number) => run(objects, 20, { keep });
    const prepare = async () => {
      await store().remove(await keys());
      await putBuilds(4);
      for (const target of ['y', 'z']) await put(commit(3), -3, { target });
      await putDocument(
        bucket(),
        YANK,
        versionKey(YANKS, commit(3)),
        { version: commit(3), reason: 'x', time: timeAt(0) },
        [key],
      );
      await write(`releases/${commit(3)}/SHA256SUMS`);
      await run(store(), 10, { keep: 2 });
    };
    await prepare();
    const undisturbed = watchStore(store());
    await deleteAll(undisturbed.objects, 2);
    const wanted = await keys();
    expect(wanted.filter((each) => /0[34]/.test(each))).toEqual([]);
    const changes = undisturbed.changes().length;
    expect(changes).toBeGreaterThan(10);
    for (let stop = 1; stop <= changes; stop++) {
      await prepare();
      let made = 0;
      const dying = watchStore(store(), (call) => {
        if (/^(put|remove) /.test(call) && ++made >= stop) throw new Error('killed');
      });
      await expect(deleteAll(dying.objects, 2)).rejects.toThrow('killed');
      // Nothing that is half there is seen: it is hidden until it is gone, also when more is to be kept now.
      const { fragments, files, prunings } = await readSources(store(), requestAt(0).policy);
      for (const [version, all] of [
        [commit(3), 6],
        [commit(4), 2],
      ] as const) {
        const left = [...fragments, ...files].filter((each) => each.key.includes(version)).length;
        if (left > 0 && left < all) expect(prunings.map((mark) => mark.value.version)).toContain(version);
      }
      await deleteAll(store(), 4);
      const later = (await keys()).filter((each) => /0[34]/.test(each));
      const versions = new Set(later.map((each) => (each.includes(commit(3)) ? 3 : 4)));
      for (const version of versions) expect(await keysOf(commit(version))).toHaveLength(version === 3 ? 8 : 2);
      await run(store(), 30, { keep: 2 });
      await run(store(), 40, { keep: 2 });
      expect(await keys()).toEqual(wanted);
    }
  });

  describe('beside others', () => {
    /** Runs while somebody does something else just before a request. */
    const runBeside = async (days: number, at: StoreCall, act: () => Promise<unknown>, rules = {}) => {
      let done = false;
      const { objects } = watchStore(store(), async (call) => {
        if (call !== at || done) return;
        done = true;
        await act();
      });
      const result = await run(objects, days, rules);
      expect(done, 'the other was never at work').toBe(true);
      return result;
    };
    const again = () => put(commit(2), -2, { target: 'y' });

    it('leaves in the index what is put while it is hidden', async () => {
      await putBuilds(2);
      expect(await runBeside(10, `put ${markKey(2)}`, again)).toEqual(['left 2']);
      expect(await keys()).not.toContain(markKey(2));
      expect(await keysOf(commit(2))).toHaveLength(4);
    });

    it('deletes nothing that is put just before', async () => {
      await putBuilds(2);
      await run(store(), 10);
      expect(await runBeside(20, `put ${markKey(2)}`, again)).toEqual(['left 2']);
      expect(await keys()).not.toContain(markKey(2));
      expect(await keysOf(commit(2))).toHaveLength(4);
    });

    it('deletes nothing whose mark was removed, or that is being promoted since', async () => {
      await putBuilds(2);
      await run(store(), 10);
      const before = await keys();
      const promotion = { version: 'v1.0.0', from: commit(2), time: timeAt(20) };
      const promote = () => putDocument(bucket(), PROMOTION, versionKey(PROMOTIONS, 'v1.0.0'), promotion, [key]);
      expect(await runBeside(20, `put ${markKey(2)}`, promote)).toEqual(['left 2']);
      expect(await keys()).toEqual(expect.arrayContaining(before.filter((each) => each !== markKey(2))));
      await store().remove([versionKey(PROMOTIONS, 'v1.0.0')]);
      await run(store(), 30);
      const planned = await planPrune(store(), requestAt(40));
      expect(planned.plan.delete.length).toBe(1);
      await store().remove([markKey(2)]);
      expect(await doIt(store(), planned, requestAt(40))).toEqual(['left 2']);
      expect(await keysOf(commit(2))).toHaveLength(2);
    });

    describe('a put of the same bytes', () => {
      const putAgain = async () => {
        const path = box().path('garage');
        await writeFile(path, `garage ${commit(2)} for ${TEST_TARGET}`);
        const policy = { keys: [key.publicKey], allowUnsigned: false };
        const request = {
          ...{ version: commit(2), target: TEST_TARGET, commit: null, replace: false, dryRun: false },
          ...{ ci: { system: 'none', event: null, runUrl: null }, files: [{ path, name: 'garage' }] },
          ...{ time: timeAt(20), cacheControl: 'no-cache', keys: [key], policy },
        };
        return (await putFiles(store(), request, PUT_WORK)).map(({ state }) => state);
      };

      /** Prunes, and puts once before a request that comes after the plan. */
      const pruneBeside = async (at: (call: StoreCall) => boolean) => {
        let states: readonly string[] | undefined;
        const { objects } = watchStore(store(), async (call) => {
          if (at(call)) states ??= await putAgain().catch((error) => [error.code]);
        });
        const done = await run(objects, 20);
        return { done, states };
      };

      it('keeps it before the deletion has begun', async () => {
        await putBuilds(2);
        await run(store(), 10);
        expect(await pruneBeside((call) => call === `put ${markKey(2)}`)).toEqual({
          ...{ done: ['left 2'], states: ['unchanged'] },
        });
        expect(await keysOf(commit(2))).toEqual([
          fileKey(commit(2), TEST_TARGET, 'garage'),
          fragmentKey(commit(2), TEST_TARGET),
        ]);
      });

      it('is refused as soon as it has begun, and done once it has ended', async () => {
        await putBuilds(2);
        await run(store(), 10);
        let hasBegun = false;
        const begun = (call: StoreCall) => {
          const now = hasBegun;
          hasBegun ||= call === `put ${markKey(2)}`;
          return now;
        };
        expect(await pruneBeside(begun)).toEqual({ done: ['delete 2'], states: ['E_UNAVAILABLE'] });
        expect(await keysOf(commit(2))).toEqual([]);
        expect(await putAgain()).toEqual(['uploaded']);
      });

      it('is refused while files are removed', async () => {
        await putBuilds(2);
        await run(store(), 10);
        expect(await pruneBeside((call) => call.startsWith('remove _releases/'))).toEqual({
          ...{ done: ['delete 2'], states: ['E_UNAVAILABLE'] },
        });
        expect(await keysOf(commit(2))).toEqual([]);
      });
    });

    it('deletes nothing when somebody has removed the mark meanwhile', async () => {
      await putBuilds(2);
      await run(store(), 10);
      let lists = 0;
      const { objects } = watchStore(store(), async (call) => {
        if (call === 'list _releases/' && ++lists === 2) await store().remove([markKey(2)]);
      });
      expect(await run(objects, 20)).toEqual(['left 2']);
      expect(await keysOf(commit(2))).toHaveLength(2);
    });

    it('does the same as another run at once', async () => {
      await putBuilds(40);
      for (const days of [10, 20]) await Promise.all([1, 2, 3].map(() => run(store(), days)));
      await run(store(), 30);
      await run(store(), 40);
      expect((await keys()).filter((each) => !each.includes(commit(1)))).toEqual([]);
      expect(await keysOf(commit(1))).toHaveLength(2);
    });
  });

  it('is not for web servers', async () => {
    const { list: _, remove: __, ...web } = store();
    await expect(planPrune(web, requestAt(1))).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
  });
});
