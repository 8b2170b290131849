import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { openFileStore } from '#lib/object-store/file.js';
import type { ObjectStore } from '#lib/object-store/object-store.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import type { ActivityEvent } from '#lib/work.js';
import { FRAGMENT, type Fragment, PROMOTION, PRUNING } from '#release/documents/kinds.js';
import { fileKey, fragmentKey, PROMOTIONS, PRUNINGS, versionKey } from '#release/layout.js';
import { readFragment } from '#release/put/fragment.js';
import type { PutRequest, PutWork } from '#release/put/request.js';
import { putRelease } from '#release/put/session.js';
import { useDirectory } from '../../support/files.js';
import { hashesIn, PUT_WORK, putDocument } from '../../support/releases.js';
import { watchStore } from '../../support/watched-store.js';

const [VERSION, TARGET] = ['v1.2.3', 'x86_64-unknown-linux-musl'];
const [COMMIT, OTHER] = ['7fd1a60b01f91b314f59955a4e4d4e80d8edf11d', '0a1b2c3d4e5f60718293a4b5c6d7e8f901234567'];
const [FIRST, LATER] = ['2026-11-01T12:00:00Z', '2026-11-02T12:00:00Z'];
const key = secretKeyFromSeed('release', randomBytes(32));
const stranger = secretKeyFromSeed('stranger', randomBytes(32));
const signing = { keys: [key], policy: { keys: [key.publicKey], allowUnsigned: false } };
const ci = { system: 'none', event: null, runUrl: null };
const FRAGMENT_KEY = fragmentKey(VERSION, TARGET);

describe('putting files of a release', () => {
  const directory = useDirectory();
  const bucket = () => join(directory(), 'bucket');
  const open = () => openFileStore(bucket());

  /** Writes files and makes a request for them. */
  const requestOf = async (contents: Readonly<Record<string, string>>, more: Partial<PutRequest> = {}) => {
    const from = join(directory(), `work-${randomBytes(4).toString('hex')}`);
    await mkdir(from);
    const files = Object.entries(contents).map(([name, content]) => ({ name, path: join(from, name), content }));
    for (const { path, content } of files) await writeFile(path, content);
    const request: PutRequest = {
      ...{ version: VERSION, target: TARGET, commit: COMMIT, ci, files, time: FIRST, replace: false, dryRun: false },
      ...{ cacheControl: 'no-store', ...signing, ...more },
    };
    return request;
  };
  const put = async (
    contents: Readonly<Record<string, string>>,
    more: Partial<PutRequest> = {},
    objects: ObjectStore = open(),
    work: Partial<PutWork> = {},
  ) => {
    const events: ActivityEvent[] = [];
    const request = await requestOf(contents, more);
    const files = await putRelease(objects, request, { ...PUT_WORK, emit: (event) => events.push(event), ...work });
    const warnings = events.flatMap((event) => (event.type === 'warning' ? event.message : []));
    return { states: Object.fromEntries(files.map(({ name, state }) => [name, state])), warnings, events };
  };
  const fragment = () => readFragment(open(), VERSION, TARGET, signing.policy) as Promise<Fragment>;
  const recorded = async () => Object.fromEntries((await fragment()).files.map(({ name, sha256 }) => [name, sha256]));
  const published = (name: string) => readFile(join(bucket(), fileKey(VERSION, TARGET, name)), 'utf8');

  it('publishes the files, then tells of them', async () => {
    const { objects, changes } = watchStore(open());
    expect(await put({ garage: 'one', 'a.tar.gz': 'two' }, {}, objects)).toMatchObject({
      ...{ states: { garage: 'uploaded', 'a.tar.gz': 'uploaded' }, warnings: [] },
    });
    expect(changes()).toEqual([
      ...[`put ${fileKey(VERSION, TARGET, 'garage')}`, `put ${fileKey(VERSION, TARGET, 'a.tar.gz')}`],
      `put ${FRAGMENT_KEY}`,
    ]);
    expect(await published('garage')).toBe('one');
    expect(await fragment()).toEqual({
      ...{ version: VERSION, target: TARGET, commit: COMMIT, time: FIRST, changed: FIRST, ci, promotion: null },
      files: [
        { name: 'a.tar.gz', size: 3, sha256: sha256('two'), storePath: null },
        { name: 'garage', size: 3, sha256: sha256('one'), storePath: null },
      ],
    });
    expect(await readdir(join(bucket(), 'carport/tmp'))).toEqual([]);
  });

  it('has nothing to do for the same bytes, also of a later run', async () => {
    await put({ garage: 'one', second: 'two' });
    const before = await hashesIn(bucket());
    for (const more of [{}, { time: LATER, ci: { ...ci, system: 'drone' } }]) {
      const { objects, changes } = watchStore(open());
      expect((await put({ garage: 'one' }, more, objects)).states).toEqual({ garage: 'unchanged' });
      expect(changes()).toEqual([]);
    }
    expect(await hashesIn(bucket())).toEqual(before);
  });

  it('adds files to those that are there: the release is as old as before, and was changed by this run', async () => {
    await put({ garage: 'one' });
    const drone = { ...ci, system: 'drone' };
    await put({ second: 'two' }, { time: LATER, ci: drone });
    expect(await recorded()).toEqual({ garage: sha256('one'), second: sha256('two') });
    expect(await fragment()).toMatchObject({ time: FIRST, changed: LATER, ci: drone });
    // Also when its clock goes behind.
    await put({ third: 'three' }, { time: FIRST });
    expect(await fragment()).toMatchObject({ time: FIRST, changed: '2026-11-02T12:00:01Z', ci });
  });

  it('refuses other bytes, and uploads nothing then', async () => {
    await put({ garage: 'one' });
    const before = await hashesIn(bucket());
    const again = put({ another: 'new', garage: 'other' });
    await expect(again).rejects.toMatchObject({
      ...{ code: 'E_INTEGRITY', message: expect.stringContaining(fileKey(VERSION, TARGET, 'garage')) },
      cause: { message: expect.stringMatching(new RegExp(`${sha256('one')}.*${sha256('other')}`)) },
    });
    expect(await hashesIn(bucket())).toEqual(before);
  });

  it('puts other bytes in the place of what is there when that is said', async () => {
    await put({ garage: 'one', second: 'two' });
    const replaced = await put({ garage: 'other', second: 'two' }, { replace: true, time: LATER });
    expect(replaced.states).toEqual({ garage: 'uploaded', second: 'uploaded' });
    expect(await published('garage')).toBe('other');
    expect(await recorded()).toEqual({ garage: sha256('other'), second: sha256('two') });
    expect(await fragment()).toMatchObject({ time: LATER, changed: LATER });
  });

  it('puts the same bytes again when they are to be replaced, and tells nothing new of them', async () => {
    await put({ garage: 'one' });
    const before = await hashesIn(bucket());
    const { objects, changes } = watchStore(open());
    expect((await put({ garage: 'one' }, { replace: true, time: LATER }, objects)).states).toEqual({
      garage: 'uploaded',
    });
    expect(changes()).toEqual([`put ${fileKey(VERSION, TARGET, 'garage')}`]);
    expect(await hashesIn(bucket())).toEqual(before);
  });

  it('uploads again what has gone, or is not whole', async () => {
    await put({ garage: 'one', second: 'two' });
    await open().remove([fileKey(VERSION, TARGET, 'garage')]);
    await writeFile(join(bucket(), fileKey(VERSION, TARGET, 'second')), 'tw');
    const { objects, changes } = watchStore(open());
    expect((await put({ garage: 'one', second: 'two' }, {}, objects)).states).toEqual({
      ...{ garage: 'uploaded', second: 'uploaded' },
    });
    expect(changes()).not.toContain(`put ${FRAGMENT_KEY}`);
    expect([await published('garage'), await published('second')]).toEqual(['one', 'two']);
  });

  it('mends bytes that are damaged when they are to be replaced', async () => {
    await put({ garage: 'one' });
    await writeFile(join(bucket(), fileKey(VERSION, TARGET, 'garage')), 'eno');
    expect((await put({ garage: 'one' })).states).toEqual({ garage: 'unchanged' });
    expect((await put({ garage: 'one' }, { replace: true })).states).toEqual({ garage: 'uploaded' });
    expect(await published('garage')).toBe('one');
  });

  it('takes on record what is there without a fragment, when it is the same', async () => {
    const objects = open();
    await objects.put(fileKey(VERSION, TARGET, 'garage'), Buffer.from('one'), { contentType: 'text/plain' });
    expect((await put({ garage: 'one' })).states).toEqual({ garage: 'unchanged' });
    expect(await recorded()).toEqual({ garage: sha256('one') });
    for (const content of ['two', 'longer']) {
      await objects.put(fileKey(VERSION, TARGET, 'second'), Buffer.from(content), { contentType: 'text/plain' });
      await expect(put({ second: 'one' })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    }
    expect((await put({ second: 'one' }, { replace: true })).states).toEqual({ second: 'uploaded' });
    expect(await recorded()).toEqual({ garage: sha256('one'), second: sha256('one') });
  });

  it('refuses a tag that was moved to another commit', async () => {
    await put({ garage: 'one', old: 'old' });
    const before = await hashesIn(bucket());
    for (const content of ['one', 'other']) {
      const moved = put({ garage: content }, { commit: OTHER });
      await expect(moved).rejects.toMatchObject({
        ...{ code: 'E_USAGE', message: expect.stringContaining('another commit') },
        cause: { message: expect.stringMatching(`${COMMIT}.*${OTHER}`) },
      });
    }
    expect(await hashesIn(bucket())).toEqual(before);
    const { warnings } = await put({ garage: 'one' }, { commit: OTHER, replace: true, time: LATER });
    expect(warnings.join()).toContain('/old` is of another commit');
    expect(await fragment()).toMatchObject({ commit: OTHER, time: LATER, files: [{ name: 'garage' }] });
  });

  it('takes a build that does not know its commit, and learns it from another', async () => {
    await put({ garage: 'one' }, { commit: null });
    await put({ second: 'two' });
    expect((await fragment()).commit).toBe(COMMIT);
    await put({ third: 'three' }, { commit: null });
    expect((await fragment()).commit).toBe(COMMIT);
    await expect(put({ fourth: 'four' }, { commit: OTHER })).rejects.toThrow('another commit');
  });

  const document = (value: Partial<Fragment> = {}): Fragment => ({
    ...{ version: VERSION, target: TARGET, commit: COMMIT, time: FIRST, changed: FIRST, ci, promotion: null },
    files: [{ name: 'planted', size: 1, sha256: sha256('p'), storePath: null }],
    ...value,
  });
  it.each([
    ['nobody has signed', () => putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document()), 'E_SIGNATURE'],
    [
      'somebody else has signed',
      () => putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document(), [stranger]),
      'E_SIGNATURE',
    ],
    [
      'is of another version',
      () => putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document({ version: 'v1.2.2' }), [key]),
      'E_SIGNATURE',
    ],
    ['is damaged', () => writeRaw('{"schema": 1'), 'E_FORMAT'],
    ['is no fragment', () => writeRaw('[]'), 'E_FORMAT'],
    ['is far too long', () => writeRaw(' '.repeat(2_000_000)), 'E_FORMAT'],
  ])('does not add to a fragment that %s, and replaces it when that is said', async (_, plant, code) => {
    await plant();
    const before = await hashesIn(bucket());
    await expect(put({ garage: 'one' })).rejects.toMatchObject({ code, hint: expect.stringContaining('--replace') });
    expect(await hashesIn(bucket())).toEqual(before);
    const { warnings } = await put({ garage: 'one' }, { replace: true });
    expect(warnings.join()).toContain(FRAGMENT_KEY);
    expect(await recorded()).toEqual({ garage: sha256('one') });
  });
  const writeRaw = async (text: string) => {
    const path = join(bucket(), FRAGMENT_KEY);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  };

  it('adds to an unsigned fragment where that is allowed', async () => {
    const unsigned = { keys: [], policy: { keys: [], allowUnsigned: true } };
    await put({ garage: 'one' }, unsigned);
    await put({ second: 'two' }, unsigned);
    await expect(put({ third: 'three' })).rejects.toMatchObject({ code: 'E_SIGNATURE' });
    const { files } = (await readFragment(open(), VERSION, TARGET, unsigned.policy))!;
    expect(files.map(({ name }) => name)).toEqual(['garage', 'second']);
  });

  it('adds nothing to a release that was promoted', async () => {
    await put({ garage: 'one' });
    const promoted = { ...(await fragment()), promotion: { from: 'v1.2.3-rc1', gates: [] } };
    await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, promoted, [key]);
    expect((await put({ garage: 'one' })).states).toEqual({ garage: 'unchanged' });
    await expect(put({ second: 'two' })).rejects.toMatchObject({ code: 'E_USAGE', message: /was promoted/ });
    expect(existsSync(join(bucket(), fileKey(VERSION, TARGET, 'second')))).toBe(false);
    await put({ second: 'two' }, { replace: true });
    expect(await fragment()).toMatchObject({ promotion: null, files: [{ name: 'garage' }, { name: 'second' }] });
  });

  it('is refused while the version is being made of another', async () => {
    const promotion = { version: VERSION, from: 'v1.2.3-rc1', time: FIRST };
    const at = versionKey(PROMOTIONS, VERSION);
    await putDocument(bucket(), PROMOTION, at, promotion, [key]);
    await expect(put({ garage: 'one' }, { replace: true })).rejects.toMatchObject({
      ...{ code: 'E_USAGE', hint: expect.stringContaining('carport release promote v1.2.3-rc1 --as v1.2.3') },
    });
    expect([...(await hashesIn(bucket())).keys()]).toEqual([at]);
    await expect(put({ garage: 'one' }, { dryRun: true })).rejects.toMatchObject({ code: 'E_USAGE' });
    // What nobody trusted says does not keep anybody from publishing.
    await putDocument(bucket(), PROMOTION, at, promotion, [stranger]);
    expect((await put({ garage: 'one' })).warnings.join()).toContain('no trusted key');
    await open().put(at, Buffer.from('{}'), { contentType: 'application/json' });
    expect((await put({ garage: 'one' })).warnings.join()).toContain(at);
  });

  describe('of a version that is to be deleted', () => {
    const MARK = versionKey(PRUNINGS, VERSION);
    const mark = (deleting = false, keys = [key]) =>
      putDocument(bucket(), PRUNING, MARK, { version: VERSION, time: FIRST, ...(deleting && { deleting }) }, keys);

    it.each([
      ['a key that is trusted', [key]],
      ['a stranger', [stranger]],
    ])('takes that back, once it has said so in the fragment (signed by %s)', async (_, keys) => {
      await put({ garage: 'one' });
      await mark(false, keys);
      const { objects, calls, changes } = watchStore(open());
      const { states, warnings } = await put({ garage: 'one' }, { time: LATER }, objects);
      expect(states).toEqual({ garage: 'unchanged' });
      expect(changes()).toEqual([`put ${FRAGMENT_KEY}`, `remove ${MARK}`]);
      // It looks again after it has written, and before it removes.
      expect(calls.lastIndexOf(`read ${MARK}`)).toBeGreaterThan(calls.indexOf(`put ${FRAGMENT_KEY}`));
      expect(warnings.join()).toContain('it stays now');
      expect(await fragment()).toMatchObject({ time: FIRST, changed: LATER, ci });
    });

    it('keeps what a promotion says of it', async () => {
      const promotion = { from: 'v1.2.3-rc1', gates: [] };
      const files = [{ name: 'garage', size: 3, sha256: sha256('one'), storePath: null }];
      await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document({ files, promotion }), [key]);
      await open().put(fileKey(VERSION, TARGET, 'garage'), Buffer.from('one'), { contentType: 'x/y' });
      await mark();
      await put({ garage: 'one' }, { time: LATER });
      expect(await fragment()).toMatchObject({ changed: LATER, promotion });
    });

    it('is refused while it is being deleted, and leaves the mark', async () => {
      await put({ garage: 'one' });
      await mark(true);
      const before = await hashesIn(bucket());
      for (const more of [{}, { replace: true }, { dryRun: true }]) {
        await expect(put({ garage: 'one' }, more)).rejects.toMatchObject({
          ...{ code: 'E_UNAVAILABLE', hint: expect.stringContaining('carport release prune --delete') },
        });
      }
      expect(await hashesIn(bucket())).toEqual(before);
    });

    it('is refused for a mark that is not believed, and may be true, unless it is to be replaced', async () => {
      await put({ garage: 'one' });
      for (const [plant, code] of [
        [() => mark(true, [stranger]), 'E_SIGNATURE'],
        [() => open().put(MARK, Buffer.from('{}'), { contentType: 'x/y' }), 'E_FORMAT'],
      ] as const) {
        await plant();
        await expect(put({ garage: 'one' })).rejects.toMatchObject({
          code,
          hint: expect.stringContaining('--replace'),
        });
        await put({ garage: 'one' }, { replace: true });
        expect(await open().stat(MARK)).toBeUndefined();
      }
    });

    it.each(['before its files are there', 'after it has looked'])('sees a deletion that begins %s', async (when) => {
      await put({ garage: 'one' });
      await mark();
      const { objects } = watchStore(open(), async (call) => {
        if (call === (when.startsWith('before') ? `put ${fileKey(VERSION, TARGET, 'second')}` : `put ${FRAGMENT_KEY}`))
          await mark(true);
      });
      await expect(put({ garage: 'one', second: 'two' }, {}, objects)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
      expect(await open().stat(MARK)).toBeDefined();
    });

    it('does not say that it is done when a file has gone', async () => {
      await mark();
      const { objects } = watchStore(open(), async (call) => {
        if (call === `remove ${MARK}`) await open().remove([fileKey(VERSION, TARGET, 'garage')]);
      });
      await expect(put({ garage: 'one' }, {}, objects)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
      expect((await put({ garage: 'one' })).states).toEqual({ garage: 'uploaded' });
    });
  });

  it('signs nothing that nobody who is trusted has signed, also where unsigned documents are believed', async () => {
    const lax = { keys: [key], policy: { keys: [key.publicKey], allowUnsigned: true } };
    await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document());
    const before = await hashesIn(bucket());
    await expect(put({ garage: 'one' }, lax)).rejects.toMatchObject({ code: 'E_SIGNATURE' });
    expect(await hashesIn(bucket())).toEqual(before);
    await put({ garage: 'one' }, { replace: true, ...lax });
    expect(await recorded()).toEqual({ garage: sha256('one') });
  });

  it('changes nothing in a dry run, and says what it would do', async () => {
    await put({ garage: 'one' });
    const before = await hashesIn(bucket());
    const { states } = await put({ garage: 'one', second: 'two' }, { dryRun: true });
    expect(states).toEqual({ garage: 'unchanged', second: 'uploaded' });
    expect(await hashesIn(bucket())).toEqual(before);
    await expect(put({ garage: 'other' }, { dryRun: true })).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await put({ garage: 'one' }, { dryRun: true }, openFileStore(join(directory(), 'none')));
    expect(existsSync(join(directory(), 'none'))).toBe(false);
  });

  it('tells how far it is: what it reads, and what it uploads of that', async () => {
    await put({ garage: 'one' });
    const { events } = await put({ garage: 'one', second: 'longer' });
    const key = fileKey(VERSION, TARGET, 'second');
    expect(events).toEqual([
      { type: 'started', verb: 'read', unit: 'files', items: 2 },
      { type: 'progress', bytes: 3 },
      { type: 'progress', items: 1 },
      { type: 'progress', bytes: 6 },
      { type: 'progress', items: 1 },
      { type: 'started', verb: 'put', unit: 'files', items: 1, bytes: 6 },
      { type: 'item-started', name: key, size: 6 },
      { type: 'progress', bytes: 6 },
      { type: 'item-finished', name: key, size: 6 },
    ]);
  });

  it('uploads nothing more once it is stopped', async () => {
    const stop = new AbortController();
    const { objects, changes } = watchStore(open(), (call) => {
      if (call === `put ${fileKey(VERSION, TARGET, 'first')}`) stop.abort(new Error('stopped'));
    });
    const work = { signal: stop.signal };
    await expect(put({ first: 'one', second: 'two' }, {}, objects, work)).rejects.toThrow('stopped');
    expect(changes()).toEqual([`put ${fileKey(VERSION, TARGET, 'first')}`]);
    expect(await readdir(join(bucket(), 'carport/tmp'))).toEqual([]);
  });

  it('leaves nothing behind when it fails', async () => {
    const { objects } = watchStore(open(), (call) => {
      if (call.startsWith('put _releases/')) throw new Error('no');
    });
    await expect(put({ garage: 'one' }, {}, objects)).rejects.toThrow('no');
    await expect(put({ garage: '' })).rejects.toMatchObject({ code: 'E_USAGE', message: /is empty/ });
    expect(await readdir(join(bucket(), 'carport/tmp'))).toEqual([]);
    expect(await open().stat(FRAGMENT_KEY)).toBeUndefined();
  });

  it('uploads the bytes that it has hashed when the file changes meanwhile', async () => {
    const request = await requestOf({ garage: 'one', second: 'two' });
    const { objects } = watchStore(open(), async (call) => {
      if (call.startsWith('put _releases/')) for (const { path } of request.files) await writeFile(path, 'changed');
    });
    await putRelease(objects, request, PUT_WORK);
    expect(await recorded()).toEqual({ garage: sha256('one'), second: sha256('two') });
    expect([await published('garage'), await published('second')]).toEqual(['one', 'two']);
  });

  it('knows the store path that a file is from', async () => {
    const base = '8r8cd7nlj2y4v4qxcl0zj6vvw8ghb1lr-garage-1.0';
    const bin = join(directory(), 'root/nix/store', base, 'bin');
    await mkdir(bin, { recursive: true });
    await writeFile(join(bin, 'garage'), 'one');
    await symlink(join(bin, '..'), join(directory(), 'result'));
    const path = join(directory(), 'result/bin/garage');
    const request = await requestOf({ other: 'two' });
    await putRelease(open(), { ...request, files: [...request.files, { name: 'garage', path }] }, PUT_WORK);
    expect((await fragment()).files.map(({ storePath }) => storePath)).toEqual([`/nix/store/${base}`, null]);
  });

  it('tells of a thousand files, and of no more', async () => {
    const names = Array.from({ length: 1000 }, (_, index) => `${index}`.padStart(128, 'x')).sort();
    const storePath = `/nix/store/${'0'.repeat(32)}-${'n'.repeat(211)}`;
    const many = names.slice(1).map((name) => ({ name, size: 1, sha256: sha256(name), storePath }));
    await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document({ files: many }), [key]);
    await put({ garage: 'one' });
    expect((await fragment()).files.length).toBe(1000);
    await expect(put({ more: 'x' })).rejects.toMatchObject({ code: 'E_USAGE', message: /at most 1000 files/ });
  });

  describe('beside others', () => {
    /** In parts: when the whole process got no time, all that was to be done meanwhile is done before this is over. */
    const pause = async (milliseconds: number) => {
      for (let part = 0; part < 10; part++) await sleep(milliseconds / 10);
    };

    it('loses no file of many jobs that publish for one target at once', async () => {
      for (let round = 0; round < 5; round++) {
        const version = `v1.0.${round}`;
        const names = Array.from({ length: 4 }, (_, index) => `file-${index}`);
        await Promise.all(names.map((name) => put({ [name]: name }, { version }, open(), { pause })));
        const { files } = (await readFragment(open(), version, TARGET, signing.policy))!;
        expect(
          files.map(({ name }) => name),
          version,
        ).toEqual(names);
      }
    }, 60_000);

    it('adds its file again when another job wrote over the fragment', async () => {
      let overwritten = 0;
      const other = document({ files: [{ name: 'other', size: 3, sha256: sha256('two'), storePath: null }] });
      // Just after it was written and before it is read again.
      const store = watchStore(open());
      const objects: ObjectStore = {
        ...store.objects,
        async put(at, body, metadata) {
          await store.objects.put(at, body, metadata);
          if (at === FRAGMENT_KEY && overwritten++ < 2) await putDocument(bucket(), FRAGMENT, at, other, [key]);
        },
      };
      await put({ garage: 'one' }, {}, objects);
      expect(await recorded()).toEqual({ garage: sha256('one'), other: sha256('two') });
      expect(overwritten).toBe(3);
    });

    it('gives up when its fragment is written over again and again', async () => {
      const objects: ObjectStore = { ...open(), put: async () => undefined };
      const pauses: number[] = [];
      const pause = async (milliseconds: number) => pauses.push(milliseconds);
      await expect(put({ garage: 'one' }, {}, objects, { pause })).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
      expect(pauses.length).toBe(20);
      expect(Math.min(...pauses)).toBeGreaterThanOrEqual(100);
    });

    it('does not write over a tag that another job has published meanwhile from another commit', async () => {
      const { objects } = watchStore(open(), async (call) => {
        if (!call.startsWith('put _releases/')) return;
        await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document({ commit: OTHER }), [key]);
      });
      await expect(put({ garage: 'one' }, {}, objects)).rejects.toThrow('another commit');
      expect(await recorded()).toEqual({ planted: sha256('p') });
    });

    it.each([
      ['one', 'another', false],
      ['another', 'one', true],
    ])('has on record what is there when two publish one name at once (%s)', async (theirs, last, isRefused) => {
      // The other job has published its bytes, and its object is the last, or ours.
      let done = false;
      const sizes = { one: 3, another: 7 };
      const recordedThen = { name: 'garage', size: sizes[theirs as 'one'], sha256: sha256(theirs), storePath: null };
      const { objects } = watchStore(open(), async (call) => {
        if (call !== `read ${FRAGMENT_KEY}` || done || !existsSync(join(bucket(), fileKey(VERSION, TARGET, 'garage'))))
          return;
        done = true;
        await putDocument(bucket(), FRAGMENT, FRAGMENT_KEY, document({ files: [recordedThen] }), [key]);
        if (isRefused) await writeFile(join(bucket(), fileKey(VERSION, TARGET, 'garage')), theirs);
      });
      const ours = put({ garage: last }, {}, objects);
      await expect(ours).rejects.toMatchObject({
        code: 'E_INTEGRITY',
        message: expect.stringContaining(isRefused ? 'is published with other bytes' : 'at the same time'),
      });
      expect(await recorded()).toEqual({ garage: sha256(await published('garage')) });
      expect(done).toBe(true);
    });

    it('does not upload what another job has published with other bytes since it looked', async () => {
      const request = await requestOf({ first: 'one', garage: 'ours' });
      const { objects, changes } = watchStore(open(), async (call) => {
        if (call === `put ${fileKey(VERSION, TARGET, 'first')}`) await put({ garage: 'theirs' });
      });
      await expect(putRelease(objects, request, PUT_WORK)).rejects.toMatchObject({ code: 'E_INTEGRITY' });
      expect(changes()).not.toContain(`put ${fileKey(VERSION, TARGET, 'garage')}`);
      expect(await published('garage')).toBe('theirs');
      expect(await recorded()).toEqual({ garage: sha256('theirs') });
    });

    it('does not say that it is done when a promotion to the version has begun', async () => {
      const promotion = { version: VERSION, from: 'v1.2.3-rc1', time: FIRST };
      const { objects } = watchStore(open(), async (call) => {
        if (call === `put ${FRAGMENT_KEY}`)
          await putDocument(bucket(), PROMOTION, versionKey(PROMOTIONS, VERSION), promotion, [key]);
      });
      await expect(put({ garage: 'one' }, {}, objects)).rejects.toMatchObject({
        ...{ code: 'E_UNAVAILABLE', message: expect.stringContaining('is being made of `v1.2.3-rc1`') },
      });
    });

    it('waits for others that have read before it wrote, and write after it', async () => {
      let other: Promise<unknown> | undefined;
      let written = () => {};
      const isWritten = new Promise<void>((resolve) => {
        written = resolve;
      });
      const slow: ObjectStore = {
        ...open(),
        async put(at, body, metadata) {
          if (at === FRAGMENT_KEY && other === undefined) {
            // The other has written, and waits, when this one writes.
            await new Promise<void>((resolve) => {
              const waits = () => {
                resolve();
                return isWritten;
              };
              other = put({ garage: 'one' }, {}, open(), { pause: waits }).finally(resolve);
            });
          }
          await open().put(at, body, metadata);
          if (at === FRAGMENT_KEY) written();
        },
      };
      await put({ second: 'two' }, {}, slow, { pause });
      await other;
      expect(await recorded()).toEqual({ garage: sha256('one'), second: sha256('two') });
    });
  });
});

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
