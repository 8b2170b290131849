import { hash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CarportError } from '#lib/errors.js';
import {
  asWritable,
  isListable,
  type ListOptions,
  listObjects,
  type ObjectMetadata,
  type ObjectStore,
  type WriteStore,
} from '#lib/object-store/object-store.js';
import { gather, noise } from '../../support/files.js';

/** An empty object store to test. */
export interface StoreUnderTest {
  readonly objects: ObjectStore;
  /** Another handle on the same objects, as another process would have. */
  reopen(): ObjectStore;
  /** What readers are told of an object, by a store that keeps it. */
  metadataOf?(key: string): Promise<Partial<ObjectMetadata>>;
  /** Another such store with an object for each of the keys, which tests only read; made once where that is dear. */
  filled?(keys: readonly string[]): Promise<ObjectStore>;
  /** Whether a whole listing has all below a directory where that stands. */
  readonly listsByDirectory?: boolean;
  /** What users get at a key of a store that copies for readers. */
  visit?(key: string): Promise<string | undefined>;
  remove(): Promise<void>;
}

const TEXT = { contentType: 'text/plain' };
const LIMIT = 1024 * 1024;
const MANY = 1_100;

/** Keys that every layer would like to write in its own way; in the order of their bytes. */
const ODD_KEYS = [
  ...["!'()*", '$&,;=@', '%', '%2F', '%41', '+', '-~_.', '...', 'A b', 'a  b', 'a b', 'a%20b', 'a+b', 'a.b'],
  ...['a:b', 'a<b>"c"', 'a?b#c', 'a[b]', 'a^`{|}', 'ü', 'ﬀ', '😀'],
].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

/** Keys that must never reach a file system or a server. */
const HOSTILE_KEYS = [
  ...['', '/', '/etc/passwd', '..', '.', '../x', 'nar/../../x', 'nar/./x', 'nar//x', 'nar/', 'a/..', 'x\\..\\y'],
  ...['x\0y', 'x\ny', 'x\ry', '\x7f'],
];

/** What every object store must do. `create` makes an empty one. */
export function describeObjectStore(title: string, create: () => Promise<StoreUnderTest>): void {
  describe(`${title} as an object store`, () => {
    let test: StoreUnderTest;
    let objects: ObjectStore;
    /** The same store, if it does everything. */
    let full: WriteStore | undefined;
    beforeEach(async () => {
      test = await create();
      objects = test.objects;
      full = isListable(objects) ? asWritable(objects, 'and no bucket') : undefined;
    });
    afterEach(() => test.remove());

    const listed = async (options: ListOptions = {}) => {
      const keys: string[] = [];
      for await (const { key } of listObjects(objects, options)) keys.push(key);
      return keys;
    };
    const textOf = async (key: string) => (await objects.read(key, LIMIT))?.toString();

    it('gives back what was put, small and large, at the top and below', async () => {
      const large = Buffer.alloc(700_001, 'many bytes ');
      for (const [key, body] of [
        ['top', Buffer.from('one')],
        ['nar/below.nar', large],
        ['a/b/c/deep', Buffer.from('two')],
        ['nothing', Buffer.alloc(0)],
      ] as const) {
        await objects.put(key, Buffer.from(body), TEXT);
        expect((await objects.read(key, LIMIT))!.equals(body), key).toBe(true);
        const object = (await objects.open(key))!;
        expect(object.size).toBe(body.length);
        expect((await gather(object.bytes())).equals(body), key).toBe(true);
      }
    });

    it('tells the size of an object, and of none', async () => {
      await objects.put('nar/three', Buffer.from('abc'), TEXT);
      await objects.put('empty', Buffer.alloc(0), TEXT);
      expect((await objects.stat('nar/three'))?.size).toBe(3);
      expect((await objects.stat('empty'))?.size).toBe(0);
      for (const key of ['missing', 'nar/missing', 'nar']) expect(await objects.stat(key), key).toBeUndefined();
    });

    it('tells when an object was written, by the clock that it tells, and whether another is in its place', async () => {
      const before = await objects.now();
      await objects.put('nar/x', Buffer.from('one'), TEXT);
      const one = (await objects.stat('nar/x'))!;
      const after = await objects.now();
      // Servers tell whole seconds.
      expect(one.modified!.getTime()).toBeGreaterThan(before.getTime() - 1_001);
      expect(one.modified!.getTime()).toBeLessThan(after.getTime() + 1_001);
      expect(Math.abs(after.getTime() - Date.now())).toBeLessThan(60_000);
      expect((await test.reopen().stat('nar/x'))!).toEqual(one);
      await objects.put('nar/x', Buffer.from('two, which is longer'), TEXT);
      const two = (await objects.stat('nar/x'))!;
      expect([typeof two.etag, two.etag === one.etag]).toEqual(['string', false]);
      expect(two.modified!.getTime()).toBeGreaterThanOrEqual(one.modified!.getTime());
    });

    it('tells its time where nothing was ever put', async () => {
      expect(Math.abs((await objects.now()).getTime() - Date.now())).toBeLessThan(60_000);
      if (full) expect(await listed({ recursive: true })).toEqual([]);
    });

    it('gives any range of an object, and of it no more than there is', async () => {
      const body = noise(700_001);
      await objects.put('nar/x', Buffer.from(body), TEXT);
      for (const [offset, length] of [
        [0, 1],
        [0, 700_001],
        [1, 300_000],
        [699_999, 2],
        [700_000, 1],
        [500_000, 1_000_000],
        [0, 1_000_000],
        [700_001, 1],
        [5_000_000, 10],
      ] as const) {
        const object = (await objects.open('nar/x', { offset, length }))!;
        const wanted = body.subarray(offset, offset + length);
        expect(object.size, `${length} from ${offset}`).toBe(wanted.length);
        expect((await gather(object.bytes())).equals(wanted), `${length} from ${offset}`).toBe(true);
      }
    });

    it('gives nothing of an empty object, and no range of what is not there', async () => {
      await objects.put('empty', Buffer.alloc(0), TEXT);
      for (const range of [
        { offset: 0, length: 1 },
        { offset: 3, length: 9 },
      ]) {
        const object = (await objects.open('empty', range))!;
        expect([object.size, (await gather(object.bytes())).length]).toEqual([0, 0]);
        expect(await objects.open('missing', range)).toBeUndefined();
      }
    });

    it('refuses ranges that are none', async () => {
      await objects.put('x', Buffer.from('bytes'), TEXT);
      for (const [offset, length] of [
        [0, 0],
        [-1, 2],
        [0.5, 1],
        [0, Number.POSITIVE_INFINITY],
        [Number.NaN, 1],
      ] as const) {
        await expect(objects.open('x', { offset, length }), `${length} from ${offset}`).rejects.toThrow(RangeError);
      }
    });

    it('lets go of what is not wanted after all', async () => {
      await objects.put('nar/large.nar', noise(3_000_000), TEXT);
      for (let round = 0; round < 20; round++) {
        (await objects.open('nar/large.nar'))!.discard();
        (await objects.open('nar/large.nar', { offset: 9, length: 2_000_000 }))!.discard();
      }
      expect((await objects.open('nar/large.nar'))!.size).toBe(3_000_000);
    });

    it('takes and gives an object of several MiB in a stream', async () => {
      const large = noise(5_500_003);
      const path = await objects.spoolName();
      await writeFile(path, large);
      await objects.put('nar/large.nar', { path, size: large.length }, TEXT);
      const object = (await objects.open('nar/large.nar'))!;
      expect(object.size).toBe(large.length);
      const sizes: number[] = [];
      const pieces: Buffer[] = [];
      for await (const piece of object.bytes()) {
        sizes.push(piece.length);
        pieces.push(Buffer.from(piece));
      }
      expect(Buffer.concat(pieces).equals(large)).toBe(true);
      expect(Math.max(...sizes), 'it came whole').toBeLessThan(large.length / 2);
    });

    it('lets go of an object that is not read to its end', async () => {
      await objects.put('nar/large.nar', noise(3_000_000), TEXT);
      for (let round = 0; round < 20; round++) {
        for await (const _ of (await objects.open('nar/large.nar'))!.bytes()) break;
      }
      await objects.put('after', Buffer.from('it goes on'), TEXT);
      expect(await textOf('after')).toBe('it goes on');
    });

    it('tells readers what an object is and how long they may keep it', async ({ skip }) => {
      if (test.metadataOf === undefined) return skip('it keeps no metadata');
      const metadata = {
        contentType: 'application/x-nix-nar',
        cacheControl: 'public, max-age=31536000, immutable',
        contentDisposition: 'attachment; filename="x"',
      };
      const path = await objects.spoolName();
      await writeFile(path, noise(2_500_000));
      await objects.put('nar/file', { path, size: 2_500_000 }, metadata);
      await objects.put('nar/bytes', Buffer.from('x'), metadata);
      await objects.put('bare', Buffer.from('x'), TEXT);
      expect(await test.metadataOf('nar/file')).toEqual(metadata);
      expect(await test.metadataOf('nar/bytes')).toEqual(metadata);
      expect((await test.metadataOf('bare')).contentType).toBe('text/plain');
      await objects.put('nar/bytes', Buffer.from('y'), TEXT);
      const bare = await test.metadataOf('nar/bytes');
      expect(bare.cacheControl, 'of the object before').not.toBe(metadata.cacheControl);
      expect(bare.contentDisposition, 'of the object before').toBeUndefined();
    });

    it('shows what was put to others at once', async () => {
      await objects.put('seen', Buffer.from('by all'), TEXT);
      expect((await test.reopen().read('seen', LIMIT))?.toString()).toBe('by all');
    });

    it('has nothing at keys that were never put', async () => {
      await objects.put('nar/there', Buffer.from('x'), TEXT);
      for (const key of ['missing', 'nar/missing', 'nar/there/below', 'nar', 'x'.repeat(400)]) {
        expect(await objects.read(key, LIMIT), key).toBeUndefined();
        expect(await objects.open(key), key).toBeUndefined();
        expect(await objects.stat(key), key).toBeUndefined();
      }
    });

    it('takes a part of a larger buffer as that part', async () => {
      const whole = Buffer.from('<<<inside>>>');
      await objects.put('part', whole.subarray(3, 9), TEXT);
      expect(await textOf('part')).toBe('inside');
      expect(whole.toString()).toBe('<<<inside>>>');
    });

    it('fails to put bytes that were moved away before, and goes on', async () => {
      const bytes = Buffer.alloc(100_000);
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      await Promise.allSettled([objects.put('moved', bytes, TEXT)]);
      await objects.put('after', Buffer.from('it goes on'), TEXT);
      expect(await textOf('after')).toBe('it goes on');
    });

    it('takes a spooled file', async () => {
      const path = await objects.spoolName();
      await writeFile(path, 'spooled bytes');
      await objects.put('nar/spooled', { path, size: 13 }, TEXT);
      expect(await textOf('nar/spooled')).toBe('spooled bytes');
      expect((await objects.open('nar/spooled'))!.size).toBe(13);
    });

    it('gives a spool name of its own to each that asks', async () => {
      const names = await Promise.all(Array.from({ length: 50 }, () => objects.spoolName()));
      names.push(await test.reopen().spoolName());
      expect(new Set(names).size).toBe(51);
    });

    it('fails to put a spooled file that is not there, and shows nothing', async () => {
      const path = await objects.spoolName();
      await expect(objects.put('nar/none', { path, size: 1 }, TEXT)).rejects.toThrow();
      expect(await objects.open('nar/none')).toBeUndefined();
    });

    it('refuses to read more than the limit, and takes what has just as many bytes', async () => {
      await objects.put('ten', Buffer.alloc(10), TEXT);
      expect((await objects.read('ten', 10))!.length).toBe(10);
      await expect(objects.read('ten', 9)).rejects.toThrow();
    });

    it('replaces an object as a whole: readers see the old one or the new one', async () => {
      const bodies = [Buffer.alloc(300_000, 'a'), Buffer.alloc(200_000, 'b')];
      await objects.put('swap', Buffer.from(bodies[0]!), TEXT);
      let writing = true;
      const reader = async () => {
        let reads = 0;
        while (writing || reads === 0) {
          const seen = await objects.read('swap', LIMIT).catch(unlessChanged);
          if (seen) expect(bodies.some((body) => body.equals(seen))).toBe(true);
          reads++;
        }
      };
      const readers = [reader(), reader()];
      for (let round = 1; round <= 20; round++) await objects.put('swap', Buffer.from(bodies[round % 2]!), TEXT);
      writing = false;
      await Promise.all(readers);
      expect((await objects.read('swap', LIMIT))!.equals(bodies[0]!)).toBe(true);
    });

    it('never mixes an object that is being read with the one that replaces it', async () => {
      const old = noise(4_000_000, 'old');
      await objects.put('open', Buffer.from(old), TEXT);
      const pieces: Uint8Array[] = [];
      const read = async () => {
        for await (const piece of (await objects.open('open'))!.bytes()) {
          if (pieces.length === 0) await objects.put('open', noise(4_000_000, 'new'), TEXT);
          pieces.push(Buffer.from(piece));
        }
        return Buffer.concat(pieces);
      };
      const seen = await read().catch(unlessChanged);
      if (seen) expect(seen.equals(old)).toBe(true);
      expect((await gather((await objects.open('open'))!.bytes())).equals(noise(4_000_000, 'new'))).toBe(true);
    });

    it('takes many puts of one key at once: one of them stays, whole', async () => {
      const bodies = Array.from({ length: 24 }, (_, index) => Buffer.alloc(50_000, `${index} `));
      const other = test.reopen();
      await Promise.all(
        bodies.map((body, index) => (index % 2 ? objects : other).put('contended', Buffer.from(body), TEXT)),
      );
      const winner = (await objects.read('contended', LIMIT))!;
      expect(bodies.some((body) => body.equals(winner))).toBe(true);
    });

    it('keeps and gives back keys with odd characters', async () => {
      for (const key of ODD_KEYS) await objects.put(`odd/${key}`, Buffer.from(key), TEXT);
      for (const key of ODD_KEYS) {
        expect(await textOf(`odd/${key}`), key).toBe(key);
        expect((await objects.stat(`odd/${key}`))?.size, key).toBe(Buffer.byteLength(key));
      }
      if (full) expect(await listed({ prefix: 'odd/' })).toEqual(ODD_KEYS.map((key) => `odd/${key}`));
    });

    it('lists the top only, or everything, in the order of bytes', async ({ skip }) => {
      if (full === undefined) return skip('it has no listing');
      expect(await listed()).toEqual([]);
      const top = ['A.narinfo', 'a-b', 'a.b', 'a0', 'b', 'nar-', 'nar.narinfo', 'nar0', 'ü', 'ﬀ', '😀'];
      const below = ['a/a', 'a/b-c', 'a/b/c', 'a/b0', 'nar/x.nar'];
      for (const key of [...below, ...top].reverse()) await objects.put(key, Buffer.from(key), TEXT);
      expect(await listed()).toEqual(top);
      const byBytes = (keys: readonly string[]) =>
        keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      const all = await listed({ recursive: true });
      expect(test.listsByDirectory ? byBytes(all) : all).toEqual(byBytes([...below, ...top]));
    });

    it('lists by prefix, which need not end at a slash, with sizes', async ({ skip }) => {
      if (full === undefined) return skip('it has no listing');
      for (const key of ['na', 'nar/a', 'nar/ab/c', 'nar/ab/d', 'nar/b', 'narinfo', 'z']) {
        await objects.put(key, Buffer.from(`${key}!`), TEXT);
      }
      expect(await listed({ prefix: 'nar' })).toEqual(['narinfo']);
      expect(await listed({ prefix: 'nar', recursive: true })).toEqual([
        ...['nar/a', 'nar/ab/c', 'nar/ab/d', 'nar/b', 'narinfo'],
      ]);
      expect(await listed({ prefix: 'nar/' })).toEqual(['nar/a', 'nar/b']);
      expect(await listed({ prefix: 'nar/a' })).toEqual(['nar/a']);
      expect(await listed({ prefix: 'nar/ab/', recursive: true })).toEqual(['nar/ab/c', 'nar/ab/d']);
      expect(await listed({ prefix: 'nar/none/', recursive: true })).toEqual([]);
      expect(await listed({ prefix: 'x' })).toEqual([]);
      const sizes: number[] = [];
      for await (const { key, size } of full.list({ recursive: true })) sizes.push(size - key.length);
      expect(new Set(sizes)).toEqual(new Set([1]));
    });

    it('lists when an object was written, and its MD5 where it is known', async ({ skip }) => {
      if (full === undefined) return skip('it has no listing');
      const large = noise(2_500_000);
      const bodies = { small: Buffer.from('small'), 'nar/file': large };
      const before = Date.now();
      await objects.put('small', Buffer.from('small'), TEXT);
      const path = await objects.spoolName();
      await writeFile(path, large);
      await objects.put('nar/file', { path, size: large.length }, TEXT);
      let found = 0;
      for await (const { key, modified, md5 } of full.list({ recursive: true })) {
        expect(modified.getTime(), key).toBeGreaterThan(before - 5_000);
        expect(modified.getTime(), key).toBeLessThan(Date.now() + 5_000);
        if (md5 !== undefined) expect(md5, key).toBe(hash('md5', bodies[key as keyof typeof bodies]));
        found++;
      }
      expect(found).toBe(2);
    });

    it('copies objects, small and large, also in place of others', async ({ skip }) => {
      if (full === undefined) return skip('it cannot copy');
      const large = noise(2_500_000);
      const path = await objects.spoolName();
      await writeFile(path, large);
      const metadata = { ...TEXT, cacheControl: 'max-age=5', contentDisposition: 'attachment; filename="x"' };
      await objects.put('from/large', { path, size: large.length }, metadata);
      await objects.put('from/small', Buffer.from('small'), metadata);
      await objects.put('to/small', Buffer.from('another that is longer'), TEXT);
      await objects.put('to/large', noise(100_000, 'another'), TEXT);
      for (const [name, body] of [
        ['small', Buffer.from('small')],
        ['large', large],
      ] as const) {
        for (const key of [`to/${name}`, `new/below/${name}`]) {
          await full.copy(`from/${name}`, key);
          expect((await gather((await objects.open(key))!.bytes())).equals(body), key).toBe(true);
          expect((await objects.stat(key))?.size).toBe(body.length);
          if (test.metadataOf) expect(await test.metadataOf(key), key).toEqual(metadata);
        }
      }
      await objects.put('from/small', Buffer.from('changed'), TEXT);
      expect(await textOf('to/small'), 'a copy is one').toBe('small');
      await full.remove(['from/small']);
      expect(await textOf('to/small')).toBe('small');
    });

    it('copies from and to keys with odd characters', async ({ skip }) => {
      if (full === undefined) return skip('it cannot copy');
      for (const key of ODD_KEYS) {
        await objects.put(`odd/${key}`, Buffer.from(key), TEXT);
        await full.copy(`odd/${key}`, `copies/${key}`);
        expect(await textOf(`copies/${key}`), key).toBe(key);
      }
    });

    it('does not copy what is not there, and leaves what is in its place', async ({ skip }) => {
      if (full === undefined) return skip('it cannot copy');
      await objects.put('to', Buffer.from('stays'), TEXT);
      await objects.put('below/x', Buffer.from('x'), TEXT);
      for (const key of ['missing', 'below', 'below/x/y']) {
        await expect(full.copy(key, 'to'), key).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      }
      expect(await textOf('to')).toBe('stays');
      expect(await listed({ recursive: true })).toEqual(['below/x', 'to']);
    });

    it('copies for readers, and says whether that is new', async ({ skip }) => {
      if (full === undefined || test.visit === undefined) return skip('it has no copies for readers');
      await objects.put('v1/file', Buffer.from('one'), TEXT);
      await objects.put('v2/file', Buffer.from('two'), TEXT);
      expect(await full.alias('v1/file', 'latest/file')).toBe(true);
      expect(await test.visit('latest/file')).toBe('one');
      expect(await full.alias('v1/file', 'latest/file')).toBe(false);
      expect(await asWritable(test.reopen(), 'and no bucket').alias('v1/file', 'latest/file')).toBe(false);
      expect(await full.alias('v2/file', 'latest/file')).toBe(true);
      expect(await test.visit('latest/file')).toBe('two');
      expect(await textOf('v1/file')).toBe('one');
      // An object in its place is no copy any more.
      await objects.put('latest/file', Buffer.from('three'), TEXT);
      expect(await test.visit('latest/file')).toBe('three');
      expect(await textOf('v2/file')).toBe('two');
      expect(await full.alias('v2/file', 'latest/file')).toBe(true);
      await full.remove(['latest/file']);
      expect(await test.visit('v2/file')).toBe('two');
      expect(await test.visit('latest/file')).toBeUndefined();
    });

    it('tells readers to ask again for a copy, and what else is known of its source', async ({ skip }) => {
      if (full === undefined || !test.metadataOf) return skip('it keeps no metadata');
      const metadata = { ...TEXT, cacheControl: 'max-age=86400', contentDisposition: 'attachment; filename="x"' };
      await objects.put('v1/file', Buffer.from('one'), metadata);
      await full.alias('v1/file', 'latest/file');
      expect(await test.metadataOf('latest/file')).toEqual({ ...metadata, cacheControl: 'no-cache' });
      expect(await test.metadataOf('v1/file')).toEqual(metadata);
      // The same bytes that are to be shown in another way.
      await objects.put('v1/file', Buffer.from('one'), { contentType: 'text/html' });
      expect(await full.alias('v1/file', 'latest/file')).toBe(true);
      expect(await test.metadataOf('latest/file')).toEqual({ contentType: 'text/html', cacheControl: 'no-cache' });
      // Somebody has given it another.
      await objects.put('latest/file', Buffer.from('one'), metadata);
      expect(await full.alias('v1/file', 'latest/file')).toBe(true);
    });

    it('says without doing it whether a copy for readers is needed', async ({ skip }) => {
      if (full === undefined) return skip('it has no copies for readers');
      const dry = { dryRun: true };
      await objects.put('v1', Buffer.from('one'), TEXT);
      expect(await full.alias('v1', 'latest', dry)).toBe(true);
      expect(await objects.stat('latest')).toBeUndefined();
      await full.alias('v1', 'latest');
      expect(await full.alias('v1', 'latest', dry)).toBe(false);
      await objects.put('v2', Buffer.from('two'), TEXT);
      expect(await full.alias('v2', 'latest', dry)).toBe(true);
      expect(await textOf('latest')).toBe('one');
      await expect(full.alias('v3', 'latest', dry)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
    });

    it('copies for readers from and to keys with odd characters', async ({ skip }) => {
      if (full === undefined || test.visit === undefined) return skip('it has no copies for readers');
      for (const key of ODD_KEYS) {
        await objects.put(`odd/${key}`, Buffer.from(key), TEXT);
        expect(await full.alias(`odd/${key}`, `latest/${key}`), key).toBe(true);
        expect(await full.alias(`odd/${key}`, `latest/${key}`), key).toBe(false);
        expect(await test.visit(`latest/${key}`), key).toBe(key);
      }
    });

    it('copies nothing for readers that is not there', async ({ skip }) => {
      if (full === undefined) return skip('it has no copies for readers');
      await objects.put('latest', Buffer.from('stays'), TEXT);
      await expect(full.alias('missing', 'latest')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      await expect(full.alias('missing', 'new')).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
      expect(await textOf('latest')).toBe('stays');
      expect(await objects.stat('new')).toBeUndefined();
    });

    it('makes one copy for many readers who want it at once', async ({ skip }) => {
      if (full === undefined || test.visit === undefined) return skip('it has no copies for readers');
      for (const name of ['a', 'b']) await objects.put(`target/${name}`, Buffer.from(name), TEXT);
      const handles = [full, asWritable(test.reopen(), 'and no bucket')] as const;
      await Promise.all(
        Array.from({ length: 16 }, (_, index) =>
          handles[index % 2 ? 0 : 1].alias(index % 4 < 2 ? 'target/a' : 'target/b', 'latest'),
        ),
      );
      expect(['a', 'b']).toContain(await test.visit('latest'));
      expect(await listed({ recursive: true })).toEqual(['latest', 'target/a', 'target/b']);
    });

    it('lists every one of very many keys once, in order, and may be left at any of them', async ({ skip }) => {
      if (full === undefined) return skip('it has no listing');
      const keys = Array.from({ length: MANY }, (_, index) => `${String(index).padStart(5, '0')}.item`);
      if (test.filled) objects = await test.filled(keys);
      else await Promise.all(keys.map((key) => objects.put(key, Buffer.from(key), TEXT)));
      expect(await listed()).toEqual(keys);
      expect(await listed({ recursive: true })).toEqual(keys);
      expect(await listed({ prefix: '010' })).toEqual(keys.slice(1000));
      for await (const { key } of listObjects(objects)) if (key === keys[1050]) break;
    });

    it('removes objects, also ones that are not there, and very many at once', async ({ skip }) => {
      if (full === undefined) return skip('it cannot remove');
      await objects.put('stays', Buffer.from('x'), TEXT);
      await objects.put('nar/stays', Buffer.from('x'), TEXT);
      await full.remove([]);
      await full.remove(['missing', 'nar/missing', 'no/such/directory']);
      for (const key of ODD_KEYS) await objects.put(`nar/${key}`, Buffer.from('x'), TEXT);
      const missing = Array.from({ length: 1_100 }, (_, index) => `missing-${index}`);
      await full.remove([...missing, ...ODD_KEYS.map((key) => `nar/${key}`)]);
      expect(await listed({ recursive: true })).toEqual(['nar/stays', 'stays']);
      expect(await textOf(`nar/${ODD_KEYS[0]}`)).toBeUndefined();
    });

    it('may be closed more than once, which is nothing to other handles', async () => {
      const other = test.reopen();
      await objects.put('x', Buffer.from('here'), TEXT);
      expect((await other.read('x', LIMIT))?.toString()).toBe('here');
      await other.close();
      await other.close();
      expect(await textOf('x')).toBe('here');
    });

    it('refuses keys that lead outside, or are no plain paths', async () => {
      for (const key of HOSTILE_KEYS) {
        const attempts = [
          () => objects.read(key, LIMIT),
          () => objects.open(key),
          () => objects.stat(key),
          () => objects.put(key, Buffer.from('x'), TEXT),
          ...(full ? changesAt(full, key) : []),
        ];
        for (const attempt of attempts) {
          const error = await (async () => attempt())().catch((thrown: unknown) => thrown);
          expect(error, JSON.stringify(key)).toBeInstanceOf(CarportError);
          expect((error as CarportError).code).toBe('E_FORMAT');
        }
      }
      if (full) expect(await listed({ recursive: true })).toEqual([]);
    });
  });
}

/** What a store that does everything could do at a key beside reading and putting. */
function changesAt(store: WriteStore, key: string): readonly (() => Promise<unknown>)[] {
  return [
    () => store.remove([key]),
    () => store.copy(key, 'x'),
    () => store.copy('x', key),
    () => store.alias(key, 'x'),
    () => store.alias('x', key),
  ];
}

/** A server may tell that an object was replaced while it was read; nothing else may go wrong. */
function unlessChanged(error: unknown): undefined {
  expect(error).toBeInstanceOf(CarportError);
  expect((error as CarportError).code).toBe('E_INTEGRITY');
}
