import { readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listCachedPath, readCachedFile } from '#cache/browse.js';
import { renderListing } from '#lib/nix/nar/listing.js';
import type { NarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { createAdder, noise } from '../support/samples.js';
import { useSandbox } from '../support/sandbox.js';
import { createTransfers, narInfosOf, type Transfers } from '../support/transfers.js';

const LARGE = noise(700_000, 5);

describe('what a cached path holds', () => {
  const box = useSandbox('all');
  const objects = () => openFileStore(box().path('cache'));
  let transfers: Transfers;
  let tree: NarInfo;
  let file: NarInfo;
  beforeAll(async () => {
    transfers = createTransfers();
    const add = createAdder(box().path('store'), box().path('trees'));
    const files = {
      'bin/run': { script: '#!/bin/sh\n' },
      'bin-2': 'beside',
      'share/large': LARGE,
      empty: '',
      link: { link: 'bin/run' },
    };
    const { path } = await add('tree', files);
    const { path: other } = await add('file', { one: '1' });
    await add.close();
    await transfers.push({ store: box().path('store'), roots: [path, other], cache: box().path('cache') });
    const infos = await narInfosOf(box().path('cache'));
    [tree, file] = [infos.get(path)!, infos.get(other)!];
  });
  afterAll(() => transfers.close());

  const contentsOf = async (info: NarInfo, inner: string) => {
    const pieces: Buffer[] = [];
    for await (const piece of readCachedFile(objects(), info, inner, { keys: [], allowUnsigned: true }))
      pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  };

  it('is read from the listing only where there is one', async () => {
    const given = objects();
    const asked: string[] = [];
    const counted: typeof given = {
      ...given,
      open(key, range) {
        asked.push(key);
        return given.open(key, range);
      },
      read(key, limit) {
        asked.push(key);
        return given.read(key, limit);
      },
    };
    await listCachedPath(counted, tree);
    expect(asked).toEqual([`${hashPartOf(tree.path)}.ls`]);
  });

  it('is the same from the listing and, without one, from the NAR', async () => {
    const listing = renderListing(await listCachedPath(objects(), tree));
    expect(JSON.parse(listing).root.entries.bin.entries.run).toMatchObject({
      type: 'regular',
      executable: true,
      size: 10,
    });
    expect(Object.keys(JSON.parse(listing).root.entries).sort()).toEqual(['bin', 'bin-2', 'empty', 'link', 'share']);
    await rm(box().path('cache', `${hashPartOf(tree.path)}.ls`));
    expect(renderListing(await listCachedPath(objects(), tree))).toBe(listing);
  });

  it('is refused when the listing is damaged', async () => {
    await writeFile(box().path('cache', `${hashPartOf(file.path)}.ls`), '{"version":1,"root":{"type":"pipe"}}');
    await expect(listCachedPath(objects(), file)).rejects.toMatchObject({ code: 'E_FORMAT' });
  });

  it('can be read file by file', async () => {
    expect((await contentsOf(tree, 'bin/run')).toString()).toBe('#!/bin/sh\n');
    expect((await contentsOf(tree, 'bin-2')).toString()).toBe('beside');
    expect((await contentsOf(tree, 'empty')).length).toBe(0);
    expect((await contentsOf(tree, 'share/large')).equals(LARGE)).toBe(true);
    expect((await contentsOf(tree, 'share/large/')).equals(LARGE)).toBe(true);
  });

  it.each([
    ['bin', 'is a directory'],
    ['', 'is a directory'],
    ['link', 'is a symlink'],
    ['bin/none', 'is not there'],
    ['run', 'is not there'],
    ['empty/below', 'is not there'],
    ['../file', 'is not there'],
  ])('has no file `%s`', async (inner, why) => {
    const error = await contentsOf(tree, inner).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_NOT_FOUND' });
    expect(String(error)).toContain(why);
  });

  it('is refused when the NAR is not what was signed', async () => {
    const nar = box().path('cache', file.url);
    const bytes = await readFile(nar);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(nar, bytes);
    await expect(contentsOf(file, 'one')).rejects.toMatchObject({ code: 'E_INTEGRITY' });
    await rm(nar);
    await expect(contentsOf(file, 'one')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      cause: { message: expect.stringContaining(file.url) },
    });
  });
});
