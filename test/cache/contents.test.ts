import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readCachedFile } from '#cache/browse.js';
import { toldTable } from '#lib/compression/chunks/field.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import type { ByteRange, ObjectStore } from '#lib/object-store/object-store.js';
import { noise as randomBytes } from '../support/files.js';
import { createAdder, noise, sampleKey } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, narInfosOf, type Transfers } from '../support/transfers.js';

const MIB = 1024 * 1024;
const key = sampleKey('contents-1');
const other = sampleKey('contents-1', 2);
const trust = { keys: [key.publicKey], allowUnsigned: false };

/** A file across chunks, and small ones before and behind. */
const LARGE = noise(13 * MIB, 7);

describe('a file of a large NAR', () => {
  const box = useSandbox('all');
  let transfers: Transfers;
  let info: NarInfo;
  let ranges: (ByteRange | undefined)[] = [];
  const [script, far] = [{ text: '' }, noise(100_000, 9)];
  // Between other bytes, a hash part and as many zeros.
  const [mixed, hashPartAt, zerosAt] = [randomBytes(400_000, 'mixed').fill(0, 200_100, 200_132), 200_000, 200_100];
  beforeAll(async () => {
    transfers = createTransfers();
    const add = createAdder(box().path('store'), box().path('trees'));
    const { path: needed } = await add('needed', { file: 'x' });
    script.text = `#!${needed}/bin/sh\n`.repeat(40);
    mixed.write(hashPartOf(needed), hashPartAt, 'latin1');
    const files = { 'bin/run': { script: script.text }, large: LARGE, mixed, z: far, empty: '' };
    const { path } = await add('tree', files);
    await add.close();
    await transfers.push({ store: box().path('store'), roots: [path], cache: box().path('cache'), keys: [key] });
    info = (await narInfosOf(box().path('cache'))).get(path)!;
  });
  afterAll(() => transfers.close());

  const read = async (inner: string, how: { readonly of?: NarInfo; readonly trust?: typeof trust } = {}) => {
    ranges = [];
    const store = openFileStore(box().path('cache'));
    const objects: ObjectStore = {
      ...store,
      open: (name, range) => {
        ranges.push(range);
        return store.open(name, range);
      },
    };
    const pieces: Buffer[] = [];
    for await (const piece of readCachedFile(objects, how.of ?? info, inner, how.trust ?? trust)) {
      pieces.push(Buffer.from(piece));
    }
    return Buffer.concat(pieces);
  };
  const bytesRead = () => ranges.reduce((sum, range) => sum + (range?.length ?? info.fileSize!), 0);
  const withField = (name: string, change: (value: string) => string): NarInfo => ({
    ...info,
    unknownFields: info.unknownFields.map((field) =>
      field.key === name ? { ...field, value: change(field.value) } : field,
    ),
  });

  it('is read from the frames that it is in', async () => {
    expect((await read('z')).equals(far)).toBe(true);
    expect(bytesRead()).toBeLessThan(3 * MIB);
    expect((await read('bin/run')).toString()).toBe(script.text);
    expect(bytesRead()).toBeLessThan(3 * MIB);
    expect((await read('mixed')).equals(mixed)).toBe(true);
    expect(bytesRead()).toBeLessThan(3 * MIB);
    expect((await read('empty')).length).toBe(0);
    expect(bytesRead()).toBe(0);
  });

  it('that is most of it is read with all of it', async () => {
    expect((await read('large')).equals(LARGE)).toBe(true);
    expect(ranges).toEqual([undefined]);
  });

  it('is read with all of it where nobody who is trusted has signed what the frames are', async () => {
    const strangers = { keys: [other.publicKey], allowUnsigned: false };
    for (const how of [
      { trust: strangers },
      { of: withField('CarportContents', () => 'contents-1:AAAA') },
      { of: { ...info, unknownFields: [] } },
      { of: { ...info, references: [info.path] } },
      {
        of: withField('CarportChunks', (value) =>
          value.replace(/^4:(.)/, (_, first) => `4:${first === 'A' ? 'B' : 'A'}`),
        ),
      },
    ]) {
      expect((await read('z', how)).equals(far)).toBe(true);
      expect(ranges).toEqual([undefined]);
    }
    const anybody = {
      of: { ...info, unknownFields: [info.unknownFields[0]!] },
      trust: { ...strangers, allowUnsigned: true },
    };
    expect((await read('z', anybody)).equals(far)).toBe(true);
    expect(bytesRead()).toBeLessThan(3 * MIB);
  });

  it('is not what a listing says that was changed', async () => {
    const path = box().path('cache', `${hashPartOf(info.path)}.ls`);
    const listing = await readFile(path, 'utf8');
    const changed = JSON.parse(listing);
    changed.root.entries.z.narOffset = changed.root.entries.large.narOffset;
    await writeFile(path, JSON.stringify(changed));
    expect((await read('z')).equals(far)).toBe(true);
    expect(ranges).toEqual([undefined]);
    for (const lie of [{ narOffset: info.narSize }, { narOffset: 2 ** 50 }, { size: 2 * MIB }]) {
      Object.assign(changed.root.entries.z, JSON.parse(listing).root.entries.z, lie);
      await writeFile(path, JSON.stringify(changed));
      expect((await read('z', { trust: { keys: [], allowUnsigned: true } })).equals(far), JSON.stringify(lie)).toBe(
        true,
      );
    }
    await writeFile(path, listing);
  });

  it('is refused when its frame is another, though it is as long', async () => {
    expect(toldTable(info)?.rows).toBeDefined();
    const path = box().path('cache', info.url);
    const file = await readFile(path);
    const damaged = Buffer.from(file);
    // The last frame is of bytes that cannot be compressed: it holds them as they are.
    damaged[damaged.lastIndexOf(far.subarray(50_000, 50_100)) + 10]! ^= 1;
    await writeFile(path, damaged);
    await expect(read('z')).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    expect((await read('bin/run')).toString()).toBe(script.text);
    const moved = Buffer.from(file);
    const at = moved.indexOf(mixed.subarray(hashPartAt, zerosAt + 32));
    mixed.copy(moved, at, zerosAt, zerosAt + 32);
    mixed.copy(moved, at + zerosAt - hashPartAt, hashPartAt, hashPartAt + 32);
    expect(at).toBeGreaterThan(0);
    await writeFile(path, moved);
    await expect(read('mixed')).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await writeFile(path, file.subarray(0, 12 * MIB));
    await expect(read('z')).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await writeFile(path, file);
  });
});
