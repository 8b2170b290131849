/** Objects of a binary cache: its description, narinfos, NARs and listings. */

import { isWebPage } from '../lib/compression/format-of.js';
import type { ExpectedNar } from '../lib/compression/verified-nar.js';
import { CarportError } from '../lib/errors.js';
import { type CacheInfo, parseCacheInfo, renderCacheInfo } from '../lib/nix/cache-info.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '../lib/nix/narinfo.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import { listObjects, type ObjectMetadata, type ObjectStore } from '../lib/object-store/object-store.js';
import { CACHE_INFO_KEY, hashPartOfKey, listingKey, narInfoKey } from './layout.js';

/**
 * What readers are told of each kind of object. A NAR's key names its content; the others may change. Nothing is `public`: a
 * proxy must not keep for everybody what a private bucket gave to one.
 */
const METADATA = {
  cacheInfo: { contentType: 'text/x-nix-cache-info', cacheControl: 'max-age=300' },
  narInfo: { contentType: 'text/x-nix-narinfo', cacheControl: 'max-age=300' },
  nar: { contentType: 'application/x-nix-nar', cacheControl: 'max-age=31536000, immutable' },
  listing: { contentType: 'application/json', cacheControl: 'max-age=3600' },
} as const satisfies Record<string, ObjectMetadata>;

const SMALL_OBJECT_LIMIT = 4 * 1024 * 1024;
const LISTING_LIMIT = 256 * 1024 * 1024;

/** The cache's own description, or `undefined` where there is no cache yet. */
export async function readCacheInfo(objects: ObjectStore): Promise<CacheInfo | undefined> {
  const bytes = await objects.read(CACHE_INFO_KEY, SMALL_OBJECT_LIMIT);
  if (bytes === undefined) return undefined;
  try {
    return parseCacheInfo(bytes.toString('latin1'));
  } catch (cause) {
    throw damaged(objects, CACHE_INFO_KEY, bytes, cause);
  }
}

export async function writeCacheInfo(objects: ObjectStore, info: CacheInfo): Promise<void> {
  await objects.put(CACHE_INFO_KEY, Buffer.from(renderCacheInfo(info)), METADATA.cacheInfo);
}

/** The cache's description; throws where there is no cache. */
export async function requireCacheInfo(objects: ObjectStore): Promise<CacheInfo> {
  const info = await readCacheInfo(objects);
  if (info) return info;
  throw new CarportError('E_NOT_FOUND', `there is no binary cache at \`${objects.url}\``, {
    cause: new Error(`it has no \`${CACHE_INFO_KEY}\``),
    hint: 'check the URL, and whether you may read there; `carport push` and `carport cache init` make a cache',
  });
}

/** Throws when a cache is for another store dir than the store. */
export function checkStoreDir(objects: ObjectStore, cacheStoreDir: string, storeDir: string): void {
  if (cacheStoreDir === storeDir) return;
  throw new CarportError(
    'E_USAGE',
    `the cache \`${objects.url}\` is for \`${cacheStoreDir}\`, not for \`${storeDir}\``,
    {
      hint: 'store paths name their store dir and cannot be moved to another: use another cache',
    },
  );
}

/** The narinfo of a hash part, or `undefined`. What is not a narinfo of that very hash part is `E_INTEGRITY`. */
export async function readNarInfo(objects: ObjectStore, hashPart: string): Promise<NarInfo | undefined> {
  const bytes = await objects.read(narInfoKey(hashPart), SMALL_OBJECT_LIMIT);
  if (bytes === undefined) return undefined;
  try {
    const info = parseNarInfo(bytes.toString('latin1'));
    if (hashPartOf(info.path) !== hashPart) throw new Error(`it is about \`${info.path}\``);
    return info;
  } catch (cause) {
    throw damaged(objects, narInfoKey(hashPart), bytes, cause);
  }
}

/** A parser's word is no proof: another program may read what ours does not. */
function damaged(objects: ObjectStore, key: string, bytes: Buffer, cause: unknown): CarportError {
  const isPage = isWebPage(bytes);
  const message = isPage ? 'is a web page' : 'is damaged, or not as carport reads it';
  const hint = isPage
    ? 'a proxy or a login page answers in place of the cache: check the URL and the network'
    : `if other paths fail too, what is on the way damages it; else look at it, and whether Nix reads it (\`nix path-info --store '${objects.url}' PATH\`): if so, report it; if not, remove it and push the path again`;
  return new CarportError('E_INTEGRITY', `\`${key}\` in \`${objects.url}\` ${message}`, { cause, hint });
}

export function writeNarInfo(objects: ObjectStore, info: NarInfo): Promise<void> {
  return writeNarInfoText(objects, hashPartOf(info.path), renderNarInfo(info));
}

/** The same for what `renderNarInfo` gave. */
export async function writeNarInfoText(objects: ObjectStore, hashPart: string, text: string): Promise<void> {
  await objects.put(narInfoKey(hashPart), Buffer.from(text, 'latin1'), METADATA.narInfo);
}

/**
 * Writes a narinfo again as it is, so that it is as young as the path that a push relies on. `E_INTEGRITY` when there is none:
 * who asks has seen it.
 */
export async function rewriteNarInfo(objects: ObjectStore, hashPart: string): Promise<void> {
  const key = narInfoKey(hashPart);
  const bytes = await objects.read(key, SMALL_OBJECT_LIMIT);
  if (bytes) return objects.put(key, bytes, METADATA.narInfo);
  throw new CarportError('E_INTEGRITY', `\`${key}\` has vanished from \`${objects.url}\` meanwhile`, {
    cause: new Error('it was there when this began, and somebody has removed it who looks at no lease'),
    hint: 'run it again; who removes objects of a cache should use `carport cache gc` or `carport cache erase`',
  });
}

export async function writeListing(objects: ObjectStore, hashPart: string, listing: string): Promise<void> {
  await objects.put(listingKey(hashPart), Buffer.from(listing), METADATA.listing);
}

/** The text of a path's `.ls`, or `undefined`. */
export async function readListing(objects: ObjectStore, hashPart: string): Promise<string | undefined> {
  return (await objects.read(listingKey(hashPart), LISTING_LIMIT))?.toString('utf8');
}

export async function writeNar(
  objects: ObjectStore,
  key: string,
  body: Uint8Array | { readonly path: string; readonly size: number },
): Promise<void> {
  await objects.put(key, body, METADATA.nar);
}

/** What a narinfo promises of its NAR. */
export function expectedNar({ compression, narHash, narSize, fileHash, fileSize }: NarInfo): ExpectedNar {
  return {
    ...{ compression, narHash, narSize },
    ...(fileHash && { fileHash }),
    ...(fileSize !== undefined && { fileSize }),
  };
}

/** Hash parts of all narinfos, in order. */
export async function* listHashParts(objects: ObjectStore): AsyncGenerator<string> {
  for await (const { key } of listObjects(objects)) {
    const hashPart = hashPartOfKey(key);
    if (hashPart !== undefined) yield hashPart;
  }
}
