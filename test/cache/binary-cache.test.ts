import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import {
  checkStoreDir,
  listHashParts,
  readCacheInfo,
  readNarInfo,
  requireCacheInfo,
  writeCacheInfo,
  writeListing,
  writeNar,
  writeNarInfo,
} from '#cache/binary-cache.js';
import { narKey } from '#cache/layout.js';
import { narObject } from '#cache/nars.js';
import { hashBytes } from '#lib/nix/hash.js';
import { type NarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { openFileStore } from '#lib/object-store/file.js';
import { nodePath } from '../support/arbitraries.js';
import { expectError } from '../support/errors.js';
import { useSandbox } from '../support/sandbox.js';

const INFO: NarInfo = {
  path: nodePath('thing'),
  url: 'nar/thing.nar',
  compression: 'none',
  narHash: hashBytes('sha256', 'nar'),
  narSize: 3,
  references: [],
  signatures: [],
  unknownFields: [],
};
const HASH_PART = hashPartOf(INFO.path);

describe('a binary cache', () => {
  const box = useSandbox();
  const root = () => box().path('cache');
  const objects = () => openFileStore(root());
  /** Puts a file into the cache, as anybody could. */
  const plant = async (name: string, text: string) => {
    await mkdir(root(), { recursive: true });
    await writeFile(`${root()}/${name}`, text);
  };

  it('is none before it is made', async () => {
    expect(await readCacheInfo(objects())).toBeUndefined();
    await expect(requireCacheInfo(objects())).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });

  it('keeps its description as Nix writes it', async () => {
    await writeCacheInfo(objects(), { storeDir: '/nix/store', priority: 30, wantMassQuery: true });
    const text = await readFile(`${root()}/nix-cache-info`, 'utf8');
    expect(text).toBe('StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n');
    expect(await requireCacheInfo(objects())).toMatchObject({
      storeDir: '/nix/store',
      priority: 30,
      wantMassQuery: true,
    });
  });

  it('is for one store dir', () => {
    expect(() => checkStoreDir(objects(), '/nix/store', '/nix/store')).not.toThrow();
    const error = expectError('E_USAGE', 'is for `/gnu/store`, not for `/nix/store`', () =>
      checkStoreDir(objects(), '/gnu/store', '/nix/store'),
    );
    expect(error.hint).toContain('another cache');
  });

  it('gives back narinfos, and nothing where there is none', async () => {
    expect(await readNarInfo(objects(), HASH_PART)).toBeUndefined();
    await writeNarInfo(objects(), INFO);
    expect(await readNarInfo(objects(), HASH_PART)).toMatchObject({ path: INFO.path, url: INFO.url });
    expect(await readFile(`${root()}/${HASH_PART}.narinfo`, 'latin1')).toBe(renderNarInfo(INFO));
  });

  it.each([
    ['', 'empty'],
    ['<html>404 Not Found</html>\n', 'a page'],
    [renderNarInfo(INFO).slice(0, -1), 'without its last newline'],
    [renderNarInfo(INFO).slice(0, 40), 'cut short'],
    [renderNarInfo({ ...INFO, path: `/nix/store/${'1'.repeat(32)}-thing` }), 'about another path'],
    [renderNarInfo(INFO).replace('NarSize: 3', 'NarSize: 0'), 'of nothing'],
  ])('refuses a narinfo that is damaged: %#', async (text) => {
    await plant(`${HASH_PART}.narinfo`, text);
    const error = await readNarInfo(objects(), HASH_PART).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'E_INTEGRITY' });
    expect(String(error)).toContain(`${HASH_PART}.narinfo`);
  });

  it('says of a web page that it is one', async () => {
    await plant('nix-cache-info', '\n<!DOCTYPE html>\n<title>Log in</title>');
    await expect(readCacheInfo(objects())).rejects.toMatchObject({
      code: 'E_INTEGRITY',
      message: expect.stringContaining('is a web page'),
      hint: expect.stringContaining('login page'),
    });
  });

  it('refuses a narinfo of more than 4 MiB unread', async () => {
    await plant(`${HASH_PART}.narinfo`, renderNarInfo(INFO) + 'X: y\n'.repeat(1_000_000));
    await expect(readNarInfo(objects(), HASH_PART)).rejects.toThrow('more than');
  });

  it('lists hash parts, and nothing else that ends in .narinfo', async () => {
    await writeNarInfo(objects(), INFO);
    await writeListing(objects(), HASH_PART, '{}');
    for (const name of ['x.narinfo', `${'e'.repeat(32)}.narinfo`, '.narinfo']) await plant(name, 'x');
    const found: string[] = [];
    for await (const hashPart of listHashParts(objects())) found.push(hashPart);
    expect(found).toEqual([HASH_PART]);
  });

  it('opens the NAR that a narinfo points to, whatever query its URL has', async () => {
    await writeNar(objects(), 'nar/thing.nar', Buffer.from('nar'));
    for (const url of ['nar/thing.nar', './nar/thing.nar', 'nar/thing.nar?hash=x&y=../..']) {
      expect((await narObject(objects(), { ...INFO, url }).open())?.size, url).toBe(3);
    }
    expect(await narObject(objects(), { ...INFO, url: 'nar/other.nar' }).open()).toBeUndefined();
  });

  it.each(['../secret', '/etc/passwd', 'nar/../../secret', 'nar//x', 'nar/./x', '', '?x', 'nar/\\..\\x', '..?x'])(
    'refuses the NAR URL %j, which nobody signed',
    async (url) => {
      await writeFile(box().path('secret'), 'secret');
      expectError('E_FORMAT', 'leads outside the cache', () => narKey({ ...INFO, url }));
      expectError('E_FORMAT', 'is not looked for', () => narObject(objects(), { ...INFO, url }));
    },
  );

  it.each(['https://evil.example/x.nar', 'file:///etc/passwd', '//evil.example/x.nar', './/etc/passwd'])(
    'never leaves the cache for the NAR URL %s',
    (url) => {
      expectError('E_FORMAT', 'is not looked for', () => narObject(objects(), { ...INFO, url }));
    },
  );
});
