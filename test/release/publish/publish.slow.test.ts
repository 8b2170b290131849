import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import { messagesOf } from '#lib/notice.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { fileKey, fragmentKey, LEDGER_KEY } from '#release/layout.js';
import type { Publication } from '#release/publish/publication.js';
import { type PublishOptions, publishIndex } from '#release/publish/publish.js';
import { type ReleaseSources, trusted } from '#release/sources/sources.js';
import { putRelease, TEST_TARGET } from '../../support/releases.js';
import { useSandbox } from '../../support/sandbox.js';
import { type StoreCall, watchStore } from '../../support/watched-store.js';

const key = secretKeyFromSeed('release-1', Buffer.alloc(32, 1));
const policy = { keys: [key.publicKey], allowUnsigned: false };

/** What depends on the sources, in the order of a real index. */
function publicationOf(sources: ReleaseSources): Publication {
  const fragments = trusted(sources.fragments);
  const versions = [...new Set(fragments.map(({ version }) => version))];
  const text = { contentType: 'text/plain' };
  const content = JSON.stringify(fragments.map(({ version, target, commit }) => [version, target, commit]));
  return {
    releases: versions.length,
    warnings: sources.warnings,
    entries: [
      ...versions.map((version) => ({ ...text, key: `releases/${version}/SHA256SUMS`, content: `sums of ${version}` })),
      { ...text, key: 'releases/index.json', content },
      { ...text, key: 'releases/latest/stable.json', content: String(versions.at(-1)) },
      ...fragments.slice(-1).map(({ version, target }) => ({
        ...{ key: `releases/latest/stable/${target}/garage`, source: fileKey(version, target, 'garage') },
      })),
      { ...text, key: '_releases.html', content: `<p>${content}` },
    ],
    owns: (each) => /^releases\/(latest\/.*|[^/]+\/SHA256SUMS|index\.json)$/.test(each),
  };
}

describe('an index that is published', () => {
  const box = useSandbox();
  let bucket: string;
  beforeEach(() => {
    bucket = box().path('bucket');
  });
  const put = (version: string, more: { readonly target?: string; readonly commit?: string } = {}) =>
    putRelease(bucket, { version, keys: [key], ...more });
  const publish = (objects: WriteStore = openFileStore(bucket), options: Partial<PublishOptions> = {}) =>
    publishIndex(objects, publicationOf, {
      policy,
      keys: [key],
      allowEmpty: false,
      dryRun: false,
      allowLost: false,
      ...options,
    });
  const watch = (before?: (call: StoreCall) => Promise<void> | void) => watchStore(openFileStore(bucket), before);
  const read = (at: string) => readFile(box().path('bucket', at), 'utf8');
  /** What is published is what an undisturbed run would publish. */
  const expectCurrent = async () => {
    const again = watch();
    expect(await publish(again.objects)).toMatchObject({ written: [], removed: [], rounds: 1 });
    // Whether a copy has to be made is for the store to say. The ledger of whoever came last may be of an earlier state.
    expect(again.changes().filter((call) => !/^(alias |put carport\/ledger\.json)/.test(call))).toEqual([]);
  };

  const ENTRIES = [
    'releases/v1/SHA256SUMS',
    'releases/v2/SHA256SUMS',
    'releases/index.json',
    'releases/latest/stable.json',
    `releases/latest/stable/${TEST_TARGET}/garage`,
    '_releases.html',
  ];

  it('is written in its order after all was read, and what is out of date is removed at the end', async () => {
    for (const version of ['v1', 'v2']) await put(version);
    await openFileStore(bucket).put('releases/v0/SHA256SUMS', Buffer.from('old'), { contentType: 'text/plain' });
    await openFileStore(bucket).put('releases/of-somebody.txt', Buffer.from('x'), { contentType: 'text/plain' });
    const { objects, calls, changes } = watch();
    expect(await publish(objects)).toMatchObject({
      ...{ written: ENTRIES, removed: ['releases/v0/SHA256SUMS'], unchanged: 0, rounds: 1, warnings: [] },
    });
    expect(changes()).toEqual([
      ...ENTRIES.map((each) => `${each.includes(TEST_TARGET) ? 'alias' : 'put'} ${each}`),
      'remove releases/v0/SHA256SUMS',
      `put ${LEDGER_KEY}`,
    ]);
    const firstChange = calls.findIndex((call) => call.startsWith('put '));
    expect(calls.findLastIndex((call) => call.startsWith('read carport/'))).toBeLessThan(firstChange);
    expect(await read(`releases/latest/stable/${TEST_TARGET}/garage`)).toBe(`garage v2 for ${TEST_TARGET}`);
    expect(await read('releases/of-somebody.txt')).toBe('x');
    await expectCurrent();
  });

  it('has signatures before what they are of, of whichever release', async () => {
    for (let version = 0; version < 100; version++) await put(`v${version}`);
    const { objects, calls } = watch();
    const done: string[] = [];
    const slow: WriteStore = {
      ...objects,
      async put(at, body, metadata) {
        // What is begun first is done last.
        if (at.endsWith('.minisig')) await sleep(5);
        await objects.put(at, body, metadata);
        done.push(at);
      },
    };
    const signed = (sources: ReleaseSources): Publication => {
      const publication = publicationOf(sources);
      const isSums = (at: string) => at.endsWith('/SHA256SUMS');
      const entries = [...publication.entries].flatMap((entry) =>
        isSums(entry.key)
          ? [{ key: `${entry.key}.minisig`, content: entry.key, contentType: 'text/plain' }, entry]
          : [entry],
      );
      return { ...publication, entries };
    };
    await publishIndex(slow, signed, { policy, keys: [key], allowEmpty: false, dryRun: false, allowLost: false });
    const sums = done.filter((at) => at.endsWith('/SHA256SUMS'));
    expect(sums).toHaveLength(100);
    for (const at of sums) {
      expect(calls.indexOf(`put ${at}`)).toBeGreaterThan(calls.indexOf(`put ${at}.minisig`));
      expect(done.indexOf(at)).toBeGreaterThan(done.indexOf(`${at}.minisig`));
    }
  });

  it('is made again only where something has changed, as its ledger tells', async () => {
    for (const version of ['v1', 'v2', 'v3']) await put(version);
    const made: string[] = [];
    const lazy = (sources: ReleaseSources): Publication => {
      const publication = publicationOf(sources);
      const entries = [...publication.entries].map((entry) => {
        if (!('content' in entry) || !entry.key.endsWith('SHA256SUMS')) return entry;
        const { content } = entry;
        return {
          ...{ key: entry.key, contentType: 'text/plain', fingerprint: `of ${content}` },
          get content() {
            made.push(entry.key);
            return content;
          },
        };
      });
      return { ...publication, entries };
    };
    const run = async (keys = [key]) => {
      made.length = 0;
      const watched = watch();
      const { written, warnings } = await publishIndex(watched.objects, lazy, {
        ...{ policy, keys, allowEmpty: false, dryRun: false, allowLost: false },
      });
      expect(warnings).toEqual([]);
      return { ...watched, written: written.filter((at) => at.endsWith('SHA256SUMS')) };
    };
    expect((await run([])).calls.filter((call) => call.endsWith(LEDGER_KEY))).toEqual([`read ${LEDGER_KEY}`]);
    await run();
    const quiet = await run();
    expect(made).toEqual([]);
    expect(quiet.changes().filter((call) => call.startsWith('put '))).toEqual([]);
    expect(quiet.calls.filter((call) => /^read (carport.releases|releases.v)/.test(call))).toEqual([]);
    // No listing but those that it must have: all sources once, and what is published.
    expect(quiet.calls.filter((call) => call.startsWith('list ')).length).toBe(9);
    await writeFile(box().path('bucket/releases/v1/SHA256SUMS'), 'sums of vX');
    await rm(box().path('bucket/releases/v2/SHA256SUMS'));
    await put('v3', { commit: 'a'.repeat(40) });
    const mended = await run();
    expect(new Set(made)).toEqual(new Set(['releases/v1/SHA256SUMS', 'releases/v2/SHA256SUMS']));
    expect(mended.written).toEqual(['releases/v1/SHA256SUMS', 'releases/v2/SHA256SUMS']);
    expect(mended.calls.filter((call) => call.startsWith('read carport/releases'))).toEqual([
      `read ${fragmentKey('v3', TEST_TARGET)}`,
    ]);
    await run();
    expect(made).toEqual([]);
    // What another has put there since it was written is not taken for ours.
    await rm(box().path('bucket/releases/v2/SHA256SUMS'));
    const racing = watch(async (call) => {
      if (call !== 'put _releases.html' && call !== 'alias releases/latest/stable/x86_64-unknown-linux-musl/garage')
        return;
      await writeFile(box().path('bucket/releases/v2/SHA256SUMS'), 'sums of vX');
    });
    await publishIndex(racing.objects, lazy, {
      policy,
      keys: [key],
      allowEmpty: false,
      dryRun: false,
      allowLost: false,
    });
    expect((await run()).written).toEqual(['releases/v2/SHA256SUMS']);
  });

  it('never shows a part of a release that was finished while it was read', async () => {
    await put('v1');
    await put('v2', { target: 'first' });
    let isFinished = false;
    const { objects, calls } = watch(async (call) => {
      if (isFinished || !call.startsWith('read carport/releases/')) return;
      isFinished = true;
      await put('v2', { target: 'second' });
    });
    const shown: string[] = [];
    const whole: WriteStore = {
      ...objects,
      put(at, body, metadata) {
        if (at === 'releases/index.json') shown.push(String(body));
        return objects.put(at, body, metadata);
      },
    };
    await publish(whole);
    expect(calls.indexOf('put releases/index.json')).toBeGreaterThan(calls.indexOf('list carport/releases/'));
    expect(shown.length).toBe(1);
    expect(shown[0]).toContain('second');
  });

  it('is written where it differs only', async () => {
    await put('v1');
    await publish();
    await put('v2');
    // Of the same size.
    await writeFile(box().path('bucket/releases/v1/SHA256SUMS'), 'sums of vX');
    const { written, unchanged } = await publish();
    expect([written, unchanged]).toEqual([ENTRIES, 0]);
    await rm(box().path('bucket/_releases.html'));
    expect(await publish()).toMatchObject({ written: ['_releases.html'], unchanged: 5, rounds: 1 });
  });

  it('is read where the listing has another MD5, as it has where objects are encrypted', async () => {
    await put('v1');
    await publish();
    const { objects, changes, calls } = watch();
    const listed = objects.list;
    const encrypted: WriteStore = {
      ...objects,
      async *list(options) {
        for await (const each of listed(options)) yield { ...each, md5: '0'.repeat(32) };
      },
    };
    expect((await publish(encrypted)).unchanged).toBe(5);
    expect(changes().filter((call) => call !== `put ${LEDGER_KEY}`)).toEqual([
      'alias releases/latest/stable/x86_64-unknown-linux-musl/garage',
    ]);
    expect(calls).toContain('read releases/index.json');
  });

  it('is told and not written in a dry run', async () => {
    await put('v1');
    await openFileStore(bucket).put('releases/v0/SHA256SUMS', Buffer.from('old'), { contentType: 'text/plain' });
    const { objects, changes } = watch();
    expect(await publish(objects, { dryRun: true })).toMatchObject({
      ...{ written: ENTRIES.filter((each) => !each.includes('v2')), removed: ['releases/v0/SHA256SUMS'], rounds: 1 },
    });
    expect(changes().filter((call) => !call.startsWith('alias '))).toEqual([]);
    await publish();
    const again = await publish(watch().objects, { dryRun: true });
    expect([again.written, again.removed, again.unchanged]).toEqual([[], [], 5]);
    await put('v2');
    const { written } = await publish(watch().objects, { dryRun: true });
    expect(written).toEqual(ENTRIES.filter((each) => !each.includes('v1')));
    expect(await read(`releases/latest/stable/${TEST_TARGET}/garage`)).toBe(`garage v1 for ${TEST_TARGET}`);
    expect(await publish()).toMatchObject({ written });
  });

  it('is refused of no release, and nothing is touched', async () => {
    await openFileStore(bucket).put('releases/v0/SHA256SUMS', Buffer.from('old'), { contentType: 'text/plain' });
    const { objects, changes } = watch();
    await expect(publish(objects)).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      hint: expect.stringContaining('--allow-empty'),
    });
    expect(changes()).toEqual([]);
    expect(await publish(objects, { allowEmpty: true })).toMatchObject({ removed: ['releases/v0/SHA256SUMS'] });
  });

  it.each([
    'list _releases/',
    'list carport/releases/',
    'list carport/yanks/',
    'list releases/',
    'list _releases.',
    `read ${fragmentKey('v1', TEST_TARGET)}`,
  ] as const)('is not begun when this fails: %s', async (failing) => {
    await put('v1');
    const { objects, changes } = watch((call) => {
      if (call === failing) throw new CarportError('E_UNAVAILABLE', 'gone');
    });
    await expect(publish(objects)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    expect(changes()).toEqual([]);
  });

  it('tells of a release that came while it was written', async () => {
    await put('v1');
    const once = new Set<StoreCall>();
    const { objects } = watch(async (call) => {
      if (call !== 'put _releases.html' || once.size > 0) return;
      once.add(call);
      await put('v2');
    });
    expect(await publish(objects)).toMatchObject({ rounds: 2, unchanged: 0, removed: [] });
    expect(await read('releases/index.json')).toContain('v2');
    await expectCurrent();
  });

  it.each(['put releases/v1/SHA256SUMS', 'put releases/index.json', 'put _releases.html', 'list releases/'] as const)(
    'is never left older than what another run has published meanwhile: before %s',
    async (moment) => {
      await put('v1');
      let isDone = false;
      const slow = watch(async (call) => {
        if (call !== moment || isDone) return;
        isDone = true;
        await put('v2');
        await publish();
      });
      await publish(slow.objects);
      expect(isDone).toBe(true);
      expect(await read('releases/index.json')).toContain('v2');
      expect(await read('releases/v2/SHA256SUMS')).toBe('sums of v2');
      await expectCurrent();
    },
  );

  it('tells of everything in the end, however many publish at once and in whatever order', async () => {
    const random = pseudoRandom(Number(process.env.CARPORT_TEST_SEED ?? 1));
    for (let round = 0; round < 10; round++) {
      await Promise.all(
        Array.from({ length: 4 }, async (_, job) => {
          const { objects } = watch(async () => sleep(random() < 0.3 ? random() * 8 : 0));
          await sleep(random() * 10);
          await putRelease(objects, { version: `v${round}`, target: `target-${job}`, keys: [key] });
          await publish(objects);
        }),
      );
      const index = JSON.parse(await read('releases/index.json'));
      expect(index.filter(([version]: string[]) => version === `v${round}`).length).toBe(4);
      await expectCurrent();
    }
  });

  it('says so when others never end', async () => {
    await put('v1');
    let count = 0;
    const { objects } = watch(async (call) => {
      if (call === 'put releases/index.json') await put(`v${++count + 1}`);
    });
    await expect(publish(objects)).rejects.toMatchObject({
      code: 'E_UNAVAILABLE',
      hint: expect.stringContaining('publish it again'),
    });
    expect(count).toBe(10);
  });

  it('goes on where a copy cannot be made, and leaves none of an older release', async () => {
    await put('v1');
    const { objects } = watch();
    const without: WriteStore = {
      ...objects,
      alias: () => Promise.reject(new CarportError('E_UNSUPPORTED', 'it has no copies')),
    };
    const { written, warnings } = await publish(without);
    expect(written).toEqual(ENTRIES.filter((each) => !each.includes(TEST_TARGET) && !each.includes('v2')));
    expect(messagesOf(warnings)).toEqual([expect.stringContaining('it has no copies')]);
    await publish();
    await put('v2');
    const tooLarge: WriteStore = {
      ...objects,
      alias: () => Promise.reject(new CarportError('E_UNSUPPORTED', 'it is too large')),
    };
    const latest = `releases/latest/stable/${TEST_TARGET}/garage`;
    expect(await publish(tooLarge)).toMatchObject({
      removed: [latest],
      warnings: [{ message: expect.stringContaining(`there is no \`${latest}\`: it is too large`) }],
    });
    expect(await objects.stat(latest)).toBeUndefined();
    expect(await publish(tooLarge)).toMatchObject({ written: [], removed: [], warnings: [expect.anything()] });
    expect((await publish()).written).toEqual([latest]);
    // What it would be of is removed by somebody at that moment.
    const racing = watch(async (call) => {
      if (call.startsWith('alias '))
        await rm(box().path('bucket', fileKey('v2', TEST_TARGET, 'garage')), { force: true });
    });
    expect(messagesOf((await publish(racing.objects)).warnings)).toEqual([expect.stringContaining('has gone')]);
  });
});

/** The same numbers for the same seed, from 0 to 1. */
function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
