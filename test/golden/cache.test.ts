import { describe, expect, it } from 'vitest';
import { parseCacheInfo, renderCacheInfo } from '#lib/nix/cache-info.js';
import { makeContentAddressedPath, parseContentAddress } from '#lib/nix/content-address.js';
import { hashBytes, renderHash } from '#lib/nix/hash.js';
import { createNarDecoder } from '#lib/nix/nar/decode.js';
import { createListingBuilder, type NarListing, parseListing, renderListing } from '#lib/nix/nar/listing.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '#lib/nix/narinfo.js';
import { createReferenceScanner, createSelfReferenceHasher } from '#lib/nix/references.js';
import { hashPartOf, nameOf } from '#lib/nix/store-path.js';
import { parsePublicKey, parseSecretKey, renderPublicKey, renderSecretKey } from '#lib/signing/key.js';
import { signPath, verifyPath } from '#lib/signing/signature.js';
import { goldenBytes, goldenFiles, goldenText } from '../support/golden.js';

const INFOS = goldenFiles('cache', '.narinfo').map((name) => parseNarInfo(goldenText('cache', name)));
const BY_NAME = INFOS.map((info) => [nameOf(info.path), info] as const);
const ADDRESSED = BY_NAME.filter(([, { ca }]) => ca !== undefined);
const SECRET_KEY = parseSecretKey(goldenText('secret-key.txt'));
const PUBLIC_KEY = parsePublicKey(goldenText('public-key.txt'));

const narOf = (info: NarInfo) => goldenBytes('cache', info.url);
const isSelf = (info: NarInfo) => (path: string) => path === info.path;

function listingOf(nar: Uint8Array): NarListing {
  const builder = createListingBuilder();
  for (const _ of builder.tap(createNarDecoder().push(nar)));
  return builder.finish()!;
}

describe('a cache by Nix', () => {
  it.each(BY_NAME)('has a narinfo that renders to the same bytes: %s', (_, info) => {
    expect(renderNarInfo(info)).toBe(goldenText('cache', `${hashPartOf(info.path)}.narinfo`));
    expect(info.unknownFields).toEqual([]);
  });

  it.each(BY_NAME)('has a NAR of the hashes and sizes that its narinfo says: %s', (_, info) => {
    const nar = narOf(info);
    expect(renderHash(hashBytes('sha256', nar))).toBe(renderHash(info.narHash));
    expect(renderHash(info.fileHash!)).toBe(renderHash(info.narHash));
    expect([info.narSize, info.fileSize, info.compression]).toEqual([nar.length, nar.length, 'none']);
  });

  it.each(BY_NAME)('has a listing that is ours: %s', (_, info) => {
    const text = goldenText('cache', `${hashPartOf(info.path)}.ls`);
    const ours = listingOf(narOf(info));
    expect(renderListing(parseListing(text))).toBe(renderListing(ours));
    expect(JSON.parse(renderListing(ours))).toMatchObject(JSON.parse(text) as object);
  });

  it.each(BY_NAME)('refers to what its NAR mentions: %s', (_, info) => {
    const scanner = createReferenceScanner(INFOS.map(({ path }) => hashPartOf(path)));
    scanner.push(narOf(info));
    expect(scanner.found()).toEqual(info.references.map(hashPartOf).sort());
  });

  it.each(BY_NAME)('has signatures that are valid, and the ones that we make: %s', (_, info) => {
    expect(verifyPath(info, [PUBLIC_KEY])).toEqual({ state: 'valid', keyName: PUBLIC_KEY.name });
    expect(info.signatures).toEqual([signPath(info, SECRET_KEY)]);
  });

  it.each(ADDRESSED)('has content-addressed paths that follow from their content address: %s', (name, info) => {
    const others = info.references.filter((path) => !isSelf(info)(path));
    const references = { others, self: info.references.some(isSelf(info)) };
    expect(makeContentAddressedPath(parseContentAddress(info.ca!), name, '/nix/store', references)).toBe(info.path);
  });

  it('has every kind of content address', () => {
    const kinds = new Set(ADDRESSED.map(([, { ca }]) => ca!.slice(0, ca!.lastIndexOf(':'))));
    for (const kind of [
      'text:sha256',
      'fixed:sha1',
      'fixed:sha256',
      'fixed:sha512',
      'fixed:r:sha256',
      'fixed:r:sha512',
    ]) {
      expect(kinds).toContain(kind);
    }
  });

  it('has a content-addressed path that names itself, whose hash is ours', () => {
    const named = ADDRESSED.filter(([, info]) => info.references.some(isSelf(info)));
    expect(named).toHaveLength(1);
    const [, info] = named[0]!;
    const hasher = createSelfReferenceHasher(hashPartOf(info.path));
    hasher.push(narOf(info));
    expect(renderHash(hasher.finish())).toBe(renderHash(parseContentAddress(info.ca!).hash));
    expect(renderHash(hashBytes('sha256', narOf(info)))).not.toBe(renderHash(parseContentAddress(info.ca!).hash));
  });

  it('has a deriver for what was built', () => {
    const derivers = BY_NAME.filter(([, { deriver }]) => deriver?.endsWith('.drv')).map(([name]) => name);
    expect(derivers).toEqual(expect.arrayContaining(['chain', 'many-outputs', 'many-outputs-dev', 'many-outputs-lib']));
  });

  it('has a nix-cache-info that renders to the same bytes', () => {
    const text = goldenText('cache', 'nix-cache-info');
    expect(parseCacheInfo(text)).toEqual({ storeDir: '/nix/store' });
    expect(renderCacheInfo(parseCacheInfo(text))).toBe(text);
  });
});

describe('a key pair by Nix', () => {
  it('is read and rendered to the same text', () => {
    expect(renderSecretKey(SECRET_KEY)).toBe(goldenText('secret-key.txt').trim());
    expect(renderPublicKey(PUBLIC_KEY)).toBe(goldenText('public-key.txt').trim());
    expect(renderPublicKey(SECRET_KEY.publicKey)).toBe(renderPublicKey(PUBLIC_KEY));
  });
});
