import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { CarportError, type ErrorCode } from '#lib/errors.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore, WriteStore } from '#lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '#lib/work.js';
import { FRAGMENT, type Fragment, PROMOTION, PRUNING, YANK } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '#release/layout.js';
import { discardPromotion } from '#release/promote/discard.js';
import { makeRelease } from '#release/promote/make.js';
import { lookAtVersion, promotionState } from '#release/promote/state.js';
import { putRelease as putFiles } from '#release/put/session.js';
import { candidateOf } from '#release/sources/candidate.js';
import { readSources, trusted } from '#release/sources/sources.js';
import { useDirectory } from '../../support/files.js';
import {
  hashesIn,
  latestStable,
  PUT_WORK,
  putDocument,
  putRelease,
  TEST_TARGET,
  type TestRelease,
} from '../../support/releases.js';
import { sampleKey } from '../../support/samples.js';

const KEY = sampleKey('release-1');
const STRANGER = sampleKey('other-1', 2);
const POLICY = { keys: [KEY.publicKey], allowUnsigned: false };
const [FROM, TO] = ['v1.2.0-rc1', 'v1.2.0'];
const TARGETS = ['aarch64-unknown-linux-musl', 'x86_64-unknown-linux-musl'];
const COMMIT = '7fd1a60b01f91b314f59955a4e4d4e80d8edf11d';
const NOW = new Date('2026-11-10T12:00:00Z');
const MARK = versionKey(PROMOTIONS, TO);
const YANKED_AT = { version: FROM, time: '2026-11-09T00:00:00Z' };
const YANKED = { ...YANKED_AT, reason: 'loses data' };

interface PromoteOptions {
  readonly now?: Date;
  readonly discard?: boolean;
  readonly emit?: Emit<ActivityEvent>;
}

describe('a promotion', () => {
  const directory = useDirectory();
  let bucket: string;
  beforeEach(async () => {
    bucket = join(directory(), 'bucket');
    await put();
  });

  const put = async (release: Partial<TestRelease> = {}) => {
    const files = { garage: 'some bytes', 'garage.txt': 'more bytes' };
    for (const target of TARGETS) {
      await putRelease(bucket, { version: FROM, target, files, commit: COMMIT, keys: [KEY], ...release });
    }
  };
  const stateOf = async (version = TO, from = FROM) => {
    const candidate = candidateOf(from, await readSources(openFileStore(bucket), POLICY, from));
    return promotionState(candidate, version, await readSources(openFileStore(bucket), POLICY, version));
  };
  const promote = async (
    objects: ObjectStore = openFileStore(bucket),
    from = FROM,
    { now = NOW, discard = false, emit = () => undefined }: PromoteOptions = {},
  ) => {
    const candidate = candidateOf(from, await readSources(objects, POLICY, from));
    const state = promotionState(candidate, TO, await readSources(objects, POLICY, TO));
    if (state === 'done') throw new Error('there is nothing to do');
    const gates = [{ gate: 'hashes', passed: true, detail: 'fine' }];
    const about = { candidate, version: TO, state, discard, gates };
    return makeRelease(objects, { ...about, keys: [KEY], policy: POLICY, now }, emit);
  };
  /** The same by somebody who has looked before anything was there. */
  const promoteBlindly = async (from: string, objects = openFileStore(bucket)) => {
    const candidate = candidateOf(from, await readSources(objects, POLICY, from));
    const about = { candidate, version: TO, state: 'new', discard: false, gates: [] } as const;
    return makeRelease(objects, { ...about, keys: [KEY], policy: POLICY, now: NOW }, () => undefined);
  };
  const fragments = async (version = TO): Promise<readonly Fragment[]> =>
    trusted((await readSources(openFileStore(bucket), POLICY, version)).fragments);
  const remove = (...keys: readonly string[]) => openFileStore(bucket).remove(keys);
  const refused = (code: ErrorCode, reason: string | RegExp, action: Promise<unknown>) =>
    expect(action).rejects.toMatchObject({ code, message: expect.stringMatching(reason) });

  /** A store that does something before, or in place of, one of its methods. */
  const meddled = (meddle: Partial<WriteStore>): WriteStore => ({ ...openFileStore(bucket), ...meddle });

  it('makes the same files under another version, signed, and leaves nothing else', async () => {
    const before = await hashesIn(bucket);
    expect(await stateOf()).toBe('new');
    const files = await promote();
    expect(files.map(({ key, state }) => `${key} ${state}`)).toEqual(
      TARGETS.flatMap((target) => ['garage', 'garage.txt'].map((name) => `${fileKey(TO, target, name)} copied`)),
    );
    const after = await hashesIn(bucket);
    const fresh = [...after.keys()].filter((key) => !before.has(key));
    expect(fresh.sort()).toEqual(
      [...files.map(({ key }) => key), ...TARGETS.map((target) => fragmentKey(TO, target))].sort(),
    );
    for (const [key, hash] of before) expect(after.get(key)).toBe(hash);
    for (const { key, sha256 } of files) expect(after.get(key)).toBe(sha256);
    const sources = await fragments(FROM);
    expect(await fragments()).toEqual(
      sources.map((fragment) => ({
        ...{ ...fragment, version: TO, time: '2026-11-10T12:00:00Z', changed: '2026-11-10T12:00:00Z' },
        promotion: { from: FROM, gates: [{ gate: 'hashes', detail: 'fine' }] },
      })),
    );
    expect(await latestStable(bucket, POLICY)).toBe(TO);
    expect(await stateOf()).toBe('done');
  });

  it('tells how far it is, also of what is there already', async () => {
    const events: ActivityEvent[] = [];
    const emit = (event: ActivityEvent) => events.push(event);
    const size = 2 * 'some bytes'.length + 2 * 'more bytes'.length;
    const told = () => ({
      started: events.filter(({ type }) => type === 'started'),
      bytes: events.reduce((sum, event) => sum + (event.type === 'progress' ? (event.bytes ?? 0) : 0), 0),
      finished: events.flatMap((event) => (event.type === 'item-finished' ? event.name : [])).sort(),
    });
    const keys = TARGETS.flatMap((target) => ['garage', 'garage.txt'].map((name) => fileKey(TO, target, name)));
    const whole = {
      started: [{ type: 'started', verb: 'copy', unit: 'files', items: 4, bytes: size }],
      bytes: size,
      finished: keys,
    };
    const signed = TARGETS.map((target) => fragmentKey(TO, target));
    const killed = meddled({
      async put(key, ...more) {
        if (signed.includes(key)) throw new Error('killed');
        return openFileStore(bucket).put(key, ...more);
      },
    });
    await expect(promote(killed, FROM, { emit })).rejects.toThrow('killed');
    expect(told()).toEqual(whole);
    events.length = 0;
    expect((await promote(undefined, FROM, { emit })).map(({ state }) => state)).toEqual(Array(4).fill('unchanged'));
    expect(told()).toEqual(whole);
  });

  it('goes on where it was left, at each step', async () => {
    const steps: string[] = [];
    const count = (objects: WriteStore, limit: number): WriteStore => {
      const step = async (name: string, key: string, act: () => Promise<void>) => {
        if (steps.length === limit) throw new Error(`killed before ${name} ${key}`);
        steps.push(`${name} ${key}`);
        await act();
      };
      return {
        ...objects,
        put: (key, body, metadata) => step('put', key, () => objects.put(key, body, metadata)),
        copy: (from, to) => step('copy', to, () => objects.copy(from, to)),
        remove: (keys) => step('remove', keys.join(' '), () => objects.remove(keys)),
      };
    };
    await promote(count(openFileStore(bucket), Number.POSITIVE_INFINITY));
    const all = steps.length;
    expect(steps[0]).toBe(`put ${MARK}`);
    expect(steps.at(-1)).toBe(`remove ${MARK}`);
    const whole = await hashesIn(bucket);
    for (let limit = 0; limit < all; limit++) {
      await removeRelease();
      steps.length = 0;
      await expect(promote(count(openFileStore(bucket), limit))).rejects.toThrow('killed before');
      // With its last fragment it is whole, whether its mark has gone or not.
      const shown = limit === all - 1 ? 'v1.2.0' : undefined;
      expect(await latestStable(bucket, POLICY), `after ${limit} steps`).toBe(shown);
      expect(await stateOf()).toBe(limit === 0 ? 'new' : 'begun');
      // The time is that of the first run that has signed something.
      const later = new Date(NOW.getTime() + 60_000);
      const hasSigned = steps.some((step) => step.includes('carport/releases/'));
      await promote(openFileStore(bucket), FROM, { now: hasSigned ? later : NOW });
      expect(await hashesIn(bucket)).toEqual(whole);
    }
  });

  const removeRelease = async (version = TO) => {
    for (const place of ['_releases', 'carport/releases']) await rm(join(bucket, place, version), { recursive: true });
  };
  const keysBelow = async (version: string) =>
    [...(await hashesIn(bucket)).keys()].filter((key) => key.split(/\/|\.json$/).includes(version));

  it('copies anew what has other bytes, and nothing that is right', async () => {
    await putDocument(bucket, PROMOTION, MARK, { version: TO, from: FROM, time: '2026-11-09T00:00:00Z' }, [KEY]);
    const keys = TARGETS.map((target) => fileKey(TO, target, 'garage'));
    const objects = openFileStore(bucket);
    await objects.put(keys[0]!, Buffer.from('some bytes'), { contentType: 'x/y' });
    await objects.put(keys[1]!, Buffer.from('same bytes'), { contentType: 'x/y' });
    const files = await promote();
    expect(files.map(({ state }) => state)).toEqual(['unchanged', 'copied', 'copied', 'copied']);
    expect(await stateOf()).toBe('done');
  });

  describe('refuses a version that is taken:', () => {
    const taken = async (reason: string | RegExp) => {
      const before = await hashesIn(bucket);
      await refused('E_USAGE', reason, promote());
      expect(await hashesIn(bucket)).toEqual(before);
    };

    it('a release that was put', async () => {
      await put({ version: TO });
      await taken('is of another release');
    });

    it('files of which nothing is known, be they the same', async () => {
      await openFileStore(bucket).put(fileKey(TO, TARGETS[0]!, 'garage'), Buffer.from('some bytes'), {
        contentType: 'x/y',
      });
      await taken('its files for');
    });

    it('one that was promoted from another', async () => {
      await put({ version: 'v1.2.0-rc2' });
      await promote(openFileStore(bucket), 'v1.2.0-rc2');
      await taken('is of another release');
    });

    it('one that was promoted from this, which has changed since', async () => {
      await promote();
      await put({ files: { garage: 'other bytes', 'garage.txt': 'more bytes' } });
      await taken('its files for');
    });

    it('one that has lost a file, or has one more, or a target more', async () => {
      await promote();
      await remove(fileKey(TO, TARGETS[0]!, 'garage'));
      await taken('is missing');
      await openFileStore(bucket).put(fileKey(TO, TARGETS[0]!, 'garage'), Buffer.from('some bytes'), {
        contentType: 'x/y',
      });
      await writeFile(join(bucket, fileKey(TO, TARGETS[0]!, 'extra')), 'x');
      await taken('is of another release');
      await remove(fileKey(TO, TARGETS[0]!, 'extra'));
      await putRelease(bucket, { version: TO, target: 'more', keys: [KEY] });
      await taken('is of another release');
    });

    it('one that others have signed, or that is damaged', async () => {
      await promote();
      await putRelease(bucket, { version: TO, target: TARGETS[0]!, keys: [STRANGER] });
      await taken('not all of it is signed');
      await writeFile(join(bucket, fragmentKey(TO, TARGETS[0]!)), 'nonsense');
      await taken('not all of it is signed');
    });

    it('one that is being removed', async () => {
      const pruning = { version: TO, time: '2026-11-09T00:00:00Z', deleting: true as const };
      await putDocument(bucket, PRUNING, versionKey(PRUNINGS, TO), pruning, [KEY]);
      await taken('it is being removed');
    });
  });

  it('lets checksums and stray files alone', async () => {
    for (const version of [FROM, TO]) {
      for (const name of [`${TARGETS[0]}/garage.sha256`, 'stray', 'a/b/c']) {
        await openFileStore(bucket).put(`_releases/${version}/${name}`, Buffer.from('x'), { contentType: 'x/y' });
      }
    }
    expect(await promote()).toHaveLength(4);
    expect(await stateOf()).toBe('done');
  });

  it('is not stopped by a mark that is not believed', async () => {
    await putDocument(bucket, PROMOTION, MARK, { version: TO, from: 'v9.9.9', time: '2026-11-09T00:00:00Z' }, [
      STRANGER,
    ]);
    await promote();
    expect(await stateOf()).toBe('done');
  });

  it('takes a release back that was to be pruned', async () => {
    await promote();
    await putDocument(bucket, PRUNING, versionKey(PRUNINGS, TO), { version: TO, time: '2026-11-09T00:00:00Z' }, [KEY]);
    expect(await stateOf()).toBe('begun');
    expect((await promote()).map(({ state }) => state)).toEqual(Array(4).fill('unchanged'));
    expect(await stateOf()).toBe('done');
  });

  describe('of a release that was begun of another', () => {
    beforeEach(async () => {
      await put({ version: 'v1.2.0-rc2', files: { other: 'other bytes' } });
      const objects = openFileStore(bucket);
      let copies = 0;
      const copy: WriteStore['copy'] = async (from, to) => {
        if (copies++ === 1) throw new Error('killed');
        await objects.copy(from, to);
      };
      await expect(promote(meddled({ copy }), 'v1.2.0-rc2')).rejects.toThrow('killed');
    });

    it('is told apart', async () => {
      expect(await stateOf()).toBe('abandoned');
      expect(await stateOf(TO, 'v1.2.0-rc2')).toBe('begun');
    });

    it('removes what was there, and hides it until the end', async () => {
      await promote(openFileStore(bucket), FROM, { discard: true });
      expect(await stateOf()).toBe('done');
      expect([...(await hashesIn(bucket)).keys()].filter((key) => key.includes('/v1.2.0/')).join()).not.toContain(
        'other',
      );
    });

    it('is free again without its source, or another', async () => {
      const [objects, policy] = [openFileStore(bucket), POLICY];
      expect(await discardPromotion(objects, TO, policy, 'v1.2.0-rc3')).toBe(false);
      expect(await keysBelow(TO)).toHaveLength(2);
      expect(await discardPromotion(objects, TO, policy, 'v1.2.0-rc2')).toBe(true);
      expect(await keysBelow(TO)).toEqual([]);
      expect(await discardPromotion(objects, TO, policy)).toBe(false);
    });

    it('keeps what somebody has published of it when it is given up', async () => {
      await putRelease(bucket, { version: TO, target: 'theirs', keys: [KEY] });
      const theirs = [fileKey(TO, 'theirs', 'garage'), fragmentKey(TO, 'theirs')];
      await refused('E_USAGE', 'is of another release', promote(openFileStore(bucket), FROM, { discard: true }));
      expect(await keysBelow(TO)).toEqual(theirs);
      expect(await latestStable(bucket, POLICY)).toBe(TO);
    });

    it('frees the name also when it is gone on with, where somebody has published', async () => {
      await putRelease(bucket, { version: TO, target: 'theirs', keys: [KEY] });
      const theirs = [fileKey(TO, 'theirs', 'garage'), fragmentKey(TO, 'theirs')];
      await refused('E_USAGE', 'is of another release', promote(openFileStore(bucket), 'v1.2.0-rc2'));
      expect(await keysBelow(TO)).toEqual(theirs);
    });
  });

  describe('beside a put of the same version', () => {
    const putTheirs = async (objects: ObjectStore) => {
      const path = join(directory(), 'theirs');
      await writeFile(path, 'theirs');
      const request = {
        ...{ version: TO, target: TARGETS[0]!, commit: null, ci: { system: 'none', event: null, runUrl: null } },
        ...{ files: [{ path, name: 'garage' }], time: '2026-11-10T12:00:00Z', replace: false, dryRun: false },
        ...{ cacheControl: 'no-cache', keys: [KEY], policy: POLICY },
      };
      return putFiles(objects, request, PUT_WORK);
    };
    /** Lets a promotion run as a whole, after what is given was put. */
    const meddledPut = (at: string) => {
      const objects = openFileStore(bucket);
      let other: Promise<unknown> | undefined;
      const put: ObjectStore['put'] = async (key, body, metadata) => {
        await objects.put(key, body, metadata);
        if (key === at) other ??= promoteBlindly(FROM).catch((error) => error);
        await other;
      };
      return { objects: meddled({ put }), other: () => other };
    };

    it.each([
      ['file', fileKey(TO, TARGETS[0]!, 'garage')],
      ['fragment', fragmentKey(TO, TARGETS[0]!)],
    ])('stops once the %s is there, and the put is done', async (_, at) => {
      const { objects, other } = meddledPut(at);
      await putTheirs(objects);
      await expect(other()).resolves.toMatchObject({ code: 'E_USAGE', message: /is of another release/ });
      expect(await keysBelow(TO)).toEqual([fileKey(TO, TARGETS[0]!, 'garage'), fragmentKey(TO, TARGETS[0]!)]);
      expect(await latestStable(bucket, POLICY)).toBe(TO);
    });

    it('takes back its own when the put comes between, which says so, and is done when it is run again', async () => {
      const objects = openFileStore(bucket);
      let theirs: Promise<unknown> | undefined;
      // Files are copied beside each other: this one is there before it is taken away.
      let tellCopied = (): void => undefined;
      const isCopied = new Promise<void>((resolve) => {
        tellCopied = resolve;
      });
      const copy: WriteStore['copy'] = async (from, to) => {
        await objects.copy(from, to);
        if (to === fileKey(TO, TARGETS[0]!, 'garage')) tellCopied();
        if (to !== fileKey(TO, TARGETS[0]!, 'garage.txt')) return;
        await isCopied;
        // It has looked for marks before there was one.
        let reads = 0;
        const blind = meddled({
          read: async (key, limit) => (key === MARK && reads++ < 2 ? undefined : objects.read(key, limit)),
        });
        await objects.remove([fileKey(TO, TARGETS[0]!, 'garage')]);
        theirs = putTheirs(blind).catch((error) => error);
        await theirs;
      };
      await refused('E_USAGE', 'is of another release', promote(meddled({ copy })));
      await expect(theirs).resolves.toMatchObject({
        code: 'E_UNAVAILABLE',
        hint: expect.stringContaining('run this again'),
      });
      expect((await putTheirs(objects)).map(({ state }) => state)).toEqual(['unchanged']);
      expect(await keysBelow(TO)).toEqual([fileKey(TO, TARGETS[0]!, 'garage'), fragmentKey(TO, TARGETS[0]!)]);
    });
  });

  describe('stops', () => {
    it('when a file was exchanged after the gates, and stays hidden', async () => {
      const objects = openFileStore(bucket);
      const source = fileKey(FROM, TARGETS[1]!, 'garage');
      const copy: WriteStore['copy'] = async (from, to) => {
        if (from === source) await writeFile(join(bucket, source), 'evil bytes');
        await objects.copy(from, to);
      };
      await refused('E_INTEGRITY', 'has changed since it was signed', promote(meddled({ copy })));
      expect(await latestStable(bucket, POLICY)).toBeUndefined();
      expect(await stateOf()).toBe('begun');
      await put();
      await promote();
      expect(await latestStable(bucket, POLICY)).toBe(TO);
    });

    it('when a file and its fragment were replaced together', async () => {
      const objects = openFileStore(bucket);
      let isReplaced = false;
      const copy: WriteStore['copy'] = async (from, to) => {
        if (!isReplaced) await put({ files: { garage: 'even newer', 'garage.txt': 'even newer' } });
        isReplaced = true;
        await objects.copy(from, to);
      };
      await refused('E_INTEGRITY', 'has changed since it was signed', promote(meddled({ copy })));
      expect(await latestStable(bucket, POLICY)).toBeUndefined();
    });

    it('when somebody publishes under the name meanwhile, and hides nothing of theirs', async () => {
      const objects = openFileStore(bucket);
      const meddle: ObjectStore['put'] = async (key, body, metadata) => {
        if (key === MARK) await putRelease(bucket, { version: TO, files: { garage: 'theirs' }, keys: [KEY] });
        await objects.put(key, body, metadata);
      };
      await refused('E_USAGE', 'is of another release', promote(meddled({ put: meddle })));
      expect(await objects.stat(MARK)).toBeUndefined();
      expect(await latestStable(bucket, POLICY)).toBe(TO);
    });

    it('when a file of the name came without a word meanwhile', async () => {
      const objects = openFileStore(bucket);
      const meddle: ObjectStore['put'] = async (key, body, metadata) => {
        const theirs = fileKey(TO, TARGETS[0]!, 'garage');
        if (key === MARK) await objects.put(theirs, Buffer.from('theirs'), { contentType: 'x/y' });
        await objects.put(key, body, metadata);
      };
      await refused('E_USAGE', 'is of another release', promote(meddled({ put: meddle })));
      expect((await objects.read(fileKey(TO, TARGETS[0]!, 'garage'), 100))!.toString()).toBe('theirs');
      expect(await keysBelow(TO)).toEqual([fileKey(TO, TARGETS[0]!, 'garage')]);
    });

    it.each(['its copies', 'a fragment'])(
      'when somebody publishes under the name after %s, and takes back its own',
      async (when) => {
        const objects = openFileStore(bucket);
        let isThere = false;
        let copies = 0;
        const publish = async () => {
          if (!isThere) await putRelease(bucket, { version: TO, files: { garage: 'theirs' }, keys: [KEY] });
          isThere = true;
        };
        const meddle: Partial<WriteStore> = {
          async copy(from, to) {
            await objects.copy(from, to);
            if (when === 'its copies' && ++copies === 4) await publish();
          },
          async put(key, body, metadata) {
            await objects.put(key, body, metadata);
            if (when === 'a fragment' && key === fragmentKey(TO, TARGETS[0]!)) await publish();
          },
        };
        await refused('E_USAGE', 'is of another release', promote(meddled(meddle)));
        // What is theirs stays; a fragment of theirs that was written over is as if it had come before this one.
        const left = await keysBelow(TO);
        expect(left).not.toContain(MARK);
        if (when === 'its copies') {
          expect(left).toEqual([fileKey(TO, TEST_TARGET, 'garage'), fragmentKey(TO, TEST_TARGET)]);
          expect(await latestStable(bucket, POLICY)).toBe(TO);
        }
      },
    );

    it('when another promotion to the name has begun', async () => {
      await put({ version: 'v1.2.0-rc2', files: { other: 'other bytes' } });
      const objects = openFileStore(bucket);
      const copy: WriteStore['copy'] = async (from, to) => {
        await putDocument(bucket, PROMOTION, MARK, { version: TO, from: 'v1.2.0-rc2', time: '2026-11-09T00:00:00Z' }, [
          KEY,
        ]);
        await objects.copy(from, to);
      };
      await refused('E_USAGE', 'being made of `v1.2.0-rc2` at this moment', promote(meddled({ copy })));
      expect(await latestStable(bucket, POLICY)).toBeUndefined();
    });

    it('where another is being made of the name, which goes on', async () => {
      await put({ version: 'v1.2.0-rc2', files: { other: 'other bytes' } });
      const objects = openFileStore(bucket);
      let other: Promise<unknown> | undefined;
      const copy: WriteStore['copy'] = async (from, to) => {
        await objects.copy(from, to);
        other ??= promoteBlindly('v1.2.0-rc2').catch((error) => error);
        await other;
      };
      await promote(meddled({ copy }));
      await expect(other).resolves.toMatchObject({ code: 'E_USAGE', message: /being made of `v1.2.0-rc1`/ });
      expect(await stateOf()).toBe('done');
    });

    it('where another has looked before: one of them is done, or nothing is left of both', async () => {
      await put({ version: 'v1.2.0-rc2', files: { other: 'other bytes' } });
      const objects = openFileStore(bucket);
      let hasLooked = false;
      const blind = meddled({
        async read(key, limit) {
          if (key !== MARK || hasLooked) return objects.read(key, limit);
          hasLooked = true;
          return undefined;
        },
      });
      let other: Promise<unknown> | undefined;
      const copy: WriteStore['copy'] = async (from, to) => {
        await objects.copy(from, to);
        other ??= promoteBlindly('v1.2.0-rc2', blind).catch((error) => error);
        await other;
      };
      await promote(meddled({ copy }));
      await expect(other).resolves.toMatchObject({ code: 'E_USAGE', message: /is of another release/ });
      // Its mark was taken back, and with it that of the first, which wrote it anew.
      expect(await stateOf()).toBe('done');
    });

    it.each([
      ['was yanked', 'E_GATE', () => putDocument(bucket, YANK, versionKey(YANKS, FROM), YANKED, [KEY])],
      ['was yanked by a stranger', 'E_GATE', () => putDocument(bucket, YANK, versionKey(YANKS, FROM), YANKED)],
      ['has other files', 'E_GATE', () => put({ files: { garage: 'other bytes', 'garage.txt': 'x' } })],
      ['has gone', 'E_NOT_FOUND', () => removeRelease(FROM)],
      [
        'is being removed',
        'E_NOT_FOUND',
        () => putDocument(bucket, PRUNING, versionKey(PRUNINGS, FROM), { ...YANKED_AT, deleting: true }, [KEY]),
      ],
    ] as const)('when the source %s since the gates were asked, and leaves nothing', async (_, code, act) => {
      const objects = openFileStore(bucket);
      const put: ObjectStore['put'] = async (key, body, metadata) => {
        await objects.put(key, body, metadata);
        if (key === MARK) await act();
      };
      await refused(code, '.', promote(meddled({ put })));
      expect(await keysBelow(TO)).toEqual([]);
    });

    it('for what cannot be copied, and leaves nothing', async () => {
      const objects = openFileStore(bucket);
      let copies = 0;
      const copy: WriteStore['copy'] = async (from, to) => {
        if (copies++ === 2) throw new CarportError('E_UNSUPPORTED', 'too large');
        await objects.copy(from, to);
      };
      await refused('E_UNSUPPORTED', 'too large', promote(meddled({ copy })));
      expect(await keysBelow(TO)).toEqual([]);
    });

    it('and keeps what it has when it may be gone on with', async () => {
      const objects = openFileStore(bucket);
      let copies = 0;
      const copy: WriteStore['copy'] = async (from, to) => {
        if (copies++ === 2) throw new CarportError('E_UNAVAILABLE', 'no answer');
        await objects.copy(from, to);
      };
      await refused('E_UNAVAILABLE', 'no answer', promote(meddled({ copy })));
      expect(await keysBelow(TO)).toContain(MARK);
      expect((await promote()).map(({ state }) => state)).toContain('unchanged');
    });

    it('where nothing can be copied', async () => {
      const { copy: _, ...objects } = openFileStore(bucket);
      await refused('E_UNSUPPORTED', 'nothing can be copied', promote(objects));
    });
  });

  it('of the same by two at once is done once, and whole', async () => {
    for (let round = 0; round < 5; round++) {
      await Promise.all([promote(), promote(), promote()]);
      expect(await stateOf()).toBe('done');
      expect(await latestStable(bucket, POLICY)).toBe(TO);
      await removeRelease();
    }
  });

  it('that ends while another looks is found to be done', async () => {
    const objects = openFileStore(bucket);
    let copies = 0;
    const copy: WriteStore['copy'] = async (from, to) => {
      if (copies++ === 1) throw new Error('killed');
      await objects.copy(from, to);
    };
    await expect(promote(meddled({ copy }))).rejects.toThrow('killed');
    // What is there is listed before the mark is read.
    let reads = 0;
    const read: ObjectStore['read'] = async (key, limit) => {
      if (key === MARK && reads++ === 0) await promote();
      return objects.read(key, limit);
    };
    const candidate = candidateOf(FROM, await readSources(objects, POLICY, FROM));
    expect((await lookAtVersion(meddled({ read }), candidate, TO, POLICY)).state).toBe('done');
    expect(reads).toBe(2);
  });

  it('of two releases to one version at once gives one of them, whole, or none that is seen', async () => {
    await put({ version: 'v1.2.0-rc2', files: { garage: 'same name, other bytes' } });
    let won = 0;
    for (let round = 0; round < 20; round++) {
      const sources = [FROM, 'v1.2.0-rc2'];
      const ended = await Promise.allSettled(sources.map((from) => promote(openFileStore(bucket), from)));
      const winners = sources.filter((_, index) => ended[index]!.status === 'fulfilled');
      expect(winners.length).toBeLessThanOrEqual(1);
      won += winners.length;
      const latest = await latestStable(bucket, POLICY);
      expect(latest).toBe(winners.length === 1 ? TO : undefined);
      if (winners[0]) expect(await stateOf(TO, winners[0])).toBe('done');
      await remove(MARK);
      for (const place of ['_releases', 'carport/releases']) {
        await rm(join(bucket, place, TO), { recursive: true, force: true });
      }
    }
    expect(won).toBeGreaterThan(0);
  });
});

describe('a release that is to be promoted', () => {
  const directory = useDirectory();
  const candidate = async () => candidateOf(FROM, await readSources(openFileStore(directory()), POLICY, FROM));
  const refused = async (code: ErrorCode, reason: string | RegExp) =>
    expect(candidate()).rejects.toMatchObject({ code, message: expect.stringMatching(reason) });

  it('must be there', async () => {
    await refused('E_NOT_FOUND', `there is no release \`${FROM}\``);
  });

  it.each([
    ['a fragment that nobody has signed', { keys: [] }],
    ['a fragment that a stranger has signed', { keys: [STRANGER] }],
  ])('must be signed: %s', async (_, release) => {
    await putRelease(directory(), { version: FROM, target: 'good', keys: [KEY] });
    await putRelease(directory(), { version: FROM, ...release });
    await refused('E_SIGNATURE', 'not all of the release');
    await expect(candidate()).rejects.toMatchObject({ cause: { message: expect.stringContaining('no trusted key') } });
  });

  it('must be signed: a damaged fragment, a copied one, a file of which nothing is known', async () => {
    await putRelease(directory(), { version: FROM, target: 'good', keys: [KEY] });
    const bad = join(directory(), fragmentKey(FROM, 'bad'));
    await writeFile(bad, '{}');
    await refused('E_SIGNATURE', 'not all of the release');
    const copied = await putRelease(directory(), { version: FROM, target: 'good', keys: [KEY] });
    await putDocument(directory(), FRAGMENT, fragmentKey(FROM, 'bad'), copied, [KEY]);
    await refused('E_SIGNATURE', 'not all of the release');
    await rm(bad);
    await candidate();
    await writeFile(join(directory(), fileKey(FROM, 'good', 'more')), 'x');
    await refused('E_SIGNATURE', 'not all of the release');
  });

  it('must be finished itself, and not on its way out', async () => {
    await putRelease(directory(), { version: FROM, keys: [KEY] });
    const time = '2026-11-09T00:00:00Z';
    await putDocument(directory(), PROMOTION, versionKey(PROMOTIONS, FROM), { version: FROM, from: 'x', time });
    await refused('E_USAGE', 'is itself being made of `x`');
    await rm(join(directory(), versionKey(PROMOTIONS, FROM)));
    const pruning = { version: FROM, time, deleting: true as const };
    await putDocument(directory(), PRUNING, versionKey(PRUNINGS, FROM), pruning, [KEY]);
    await refused('E_NOT_FOUND', 'is being removed');
  });
});
