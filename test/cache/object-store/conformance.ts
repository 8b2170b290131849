import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ObjectStore } from '#cache/object-store/object-store.js';
import { CarportError } from '#lib/errors.js';

/** An empty object store to test. */
export interface StoreUnderTest {
  readonly objects: ObjectStore;
  /** Another handle on the same objects, as another process would have. */
  reopen(): ObjectStore;
  remove(): Promise<void>;
}

const TEXT = { contentType: 'text/plain' };
const LIMIT = 1024 * 1024;

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
    beforeEach(async () => {
      test = await create();
      objects = test.objects;
    });
    afterEach(() => test.remove());

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
        const object = (await objects.get(key))!;
        expect(object.size).toBe(body.length);
        expect((await collect(object.bytes())).equals(body), key).toBe(true);
      }
    });

    it('reads an object from its beginning each time', async () => {
      await objects.put('twice', Buffer.from('again'), TEXT);
      const object = (await objects.get('twice'))!;
      expect((await collect(object.bytes())).toString()).toBe('again');
      expect((await collect(object.bytes())).toString()).toBe('again');
    });

    it('shows what was put to others at once', async () => {
      await objects.put('seen', Buffer.from('by all'), TEXT);
      expect((await test.reopen().read('seen', LIMIT))?.toString()).toBe('by all');
    });

    it('has nothing at keys that were never put', async () => {
      await objects.put('nar/there', Buffer.from('x'), TEXT);
      for (const key of ['missing', 'nar/missing', 'nar/there/below', 'nar', 'x'.repeat(400)]) {
        expect(await objects.read(key, LIMIT), key).toBeUndefined();
        expect(await objects.get(key), key).toBeUndefined();
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
      expect((await objects.get('nar/spooled'))!.size).toBe(13);
    });

    it('gives a spool name of its own to each that asks', async () => {
      const names = await Promise.all(Array.from({ length: 50 }, () => objects.spoolName()));
      names.push(await test.reopen().spoolName());
      expect(new Set(names).size).toBe(51);
    });

    it('fails to put a spooled file that is not there, and shows nothing', async () => {
      const path = await objects.spoolName();
      await expect(objects.put('nar/none', { path, size: 1 }, TEXT)).rejects.toThrow();
      expect(await objects.get('nar/none')).toBeUndefined();
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
          const seen = (await objects.read('swap', LIMIT))!;
          expect(bodies.some((body) => body.equals(seen))).toBe(true);
          reads++;
        }
      };
      const readers = [reader(), reader()];
      for (let round = 1; round <= 20; round++) await objects.put('swap', Buffer.from(bodies[round % 2]!), TEXT);
      writing = false;
      await Promise.all(readers);
      expect(await textOf('swap')).toBe(bodies[0]!.toString());
    });

    it('lets an object that is being read be replaced', async () => {
      const old = Buffer.alloc(600_000, 'old ');
      await objects.put('open', Buffer.from(old), TEXT);
      const pieces: Uint8Array[] = [];
      for await (const piece of (await objects.get('open'))!.bytes()) {
        if (pieces.length === 0) await objects.put('open', Buffer.from('new'), TEXT);
        pieces.push(piece);
      }
      expect(Buffer.concat(pieces).equals(old)).toBe(true);
      expect(await textOf('open')).toBe('new');
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

    it('lists keys at the top by their ending', async () => {
      expect(await listed(objects, '')).toEqual([]);
      for (const key of ['a.narinfo', 'b.narinfo', 'c.ls', 'nar/d.narinfo', 'narinfo']) {
        await objects.put(key, Buffer.from(key), TEXT);
      }
      expect(await listed(objects, '.narinfo')).toEqual(['a.narinfo', 'b.narinfo']);
      expect(await listed(objects, '.ls')).toEqual(['c.ls']);
      expect(await listed(objects, '.none')).toEqual([]);
    });

    it('lists every one of many keys once', async () => {
      const keys = Array.from({ length: 150 }, (_, index) => `${String(index).padStart(4, '0')}.item`);
      await Promise.all(keys.map((key) => objects.put(key, Buffer.from(key), TEXT)));
      expect(await listed(objects, '.item')).toEqual(keys);
    });

    it.each(HOSTILE_KEYS.map((key) => [JSON.stringify(key), key]))('refuses the key %s', async (_, key) => {
      const attempts = [
        () => objects.read(key, LIMIT),
        () => objects.get(key),
        () => objects.put(key, Buffer.from('x'), TEXT),
      ];
      for (const attempt of attempts) {
        const error = await (async () => attempt())().catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(CarportError);
        expect((error as CarportError).code).toBe('E_FORMAT');
      }
      expect(await listed(objects, '')).toEqual([]);
    });
  });
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(Buffer.from(piece));
  return Buffer.concat(all);
}

async function listed(objects: ObjectStore, suffix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of objects.list(suffix)) keys.push(key);
  return keys.sort();
}
