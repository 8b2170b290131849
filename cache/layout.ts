/**
 * Where a cache has everything in its store: every key, and what it is made of. Nix's part is as Nix lays out a binary cache;
 * what carport keeps beside it is below `carport/`.
 */

import { TEMPORARY } from '../lib/filesystem/temporary.js';
import { formatHash, type Hash } from '../lib/nix/hash.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { isRealisationId, type TracedOutput } from '../lib/nix/realisation.js';
import { isHashPart, isStoreBaseName } from '../lib/nix/store-path.js';
import { checkKey } from '../lib/object-store/object-store.js';
import { isBatchName } from './batches/field.js';

/** What a cache says of itself. Where it is missing there is no cache. */
export const CACHE_INFO_KEY = 'nix-cache-info';

/** Contents of paths, each named by the hash of its bytes. */
export const NARS = 'nar/';

/** Pins, which `pin` and `push --pin` write. */
export const PINS = 'carport/pins/';

/** Names of all pins, for who cannot list them. */
export const PIN_LIST = 'carport/pins.json';

/** What the cache's keys say of themselves, and of those that follow them. */
export const CACHE_KEYS = 'carport/keys.json';

/** Keys whose paths a push has left out, one object for each; see `upstreamKeyKey`. */
export const UPSTREAM_KEYS = 'carport/skips/';

/** Which paths content-addressed derivations have made, as Nix up to 2.34 asks for it, and as later ones do. */
export const REALISATIONS = 'realisations/';
export const TRACES = 'build-trace-v2/';

/** Pushes that are under way. */
export const LEASES = 'carport/leases/';

/** What the cache held, day by day. */
export const STATS = 'carport/stats/';

/** Narinfos that were pushed together, many in one object. */
export const BATCHES = 'carport/batches/';

/** Garbage collections that are under way. */
export const SWEEPS = 'carport/sweeps/';

/** Build logs, each named by the derivation. */
const LOGS = 'log/';

/** Where debugging information of a build id is. */
const DEBUG_INFO = 'debuginfo/';

/** Directories of a binary cache as Nix has them. carport itself writes no logs and no debug information. */
const OF_NIX = [NARS, LOGS, DEBUG_INFO, REALISATIONS, TRACES];

/** What carport keeps beside it; leases and sweeps are for garbage collection. Releases are not part of the cache. */
const OF_CARPORT = [PINS, UPSTREAM_KEYS, TEMPORARY, LEASES, SWEEPS, STATS, BATCHES];

const NARINFO = '.narinfo';
const LISTING = '.ls';
const BATCH = '.zst';

/** The key of the narinfo of a hash part. */
export function narInfoKey(hashPart: string): string {
  return hashPart + NARINFO;
}

/** The hash part that a key is the narinfo of; `undefined` for any other key. */
export function hashPartOfKey(key: string): string | undefined {
  const hashPart = key.endsWith(NARINFO) ? key.slice(0, -NARINFO.length) : '';
  return isHashPart(hashPart) ? hashPart : undefined;
}

/** The key of a batch of narinfos. */
export function batchKey(name: string): string {
  return `${BATCHES}${name}${BATCH}`;
}

/** The name of the batch that a key is that of; `undefined` for any other key. */
export function batchNameOfKey(key: string): string | undefined {
  const isBatch = key.startsWith(BATCHES) && key.endsWith(BATCH);
  const name = isBatch ? key.slice(BATCHES.length, -BATCH.length) : '';
  return isBatchName(name) ? name : undefined;
}

/** The key of the listing of a path's NAR. */
export function listingKey(hashPart: string): string {
  return hashPart + LISTING;
}

/** How Nix ends the name of a NAR by its compression (libstore/binary-cache-store.cc). */
export const NAR_ENDINGS: Readonly<Record<string, string>> = {
  ...{ none: '', xz: '.xz', zstd: '.zst', bzip2: '.bz2', gzip: '.gz', br: '.br', lzip: '.lzip', lz4: '.lz4' },
};

/** The key for a NAR of which the compressed bytes have this hash; `ending` is that of its compression, with the dot. */
export function newNarKey(fileHash: Hash, ending: string): string {
  return `${NARS}${formatHash(fileHash, 'nix32')}.nar${ending}`;
}

/** The key of the NAR that a narinfo points to. Its URL is not signed: `E_FORMAT` where it leads outside of the cache. */
export function narKey({ url }: Pick<NarInfo, 'url'>): string {
  return checkKey(url.replace(/\?.*$/, '').replace(/^(\.\/)+/, ''));
}

/** The key of a realisation by its id. */
export function realisationKey(id: string): string {
  return `${REALISATIONS}${id}.doi`;
}

/** The id of the realisation that a key is that of; `undefined` for any other key. */
export function realisationIdOfKey(key: string): string | undefined {
  const id = key.startsWith(REALISATIONS) && key.endsWith('.doi') ? key.slice(REALISATIONS.length, -'.doi'.length) : '';
  return isRealisationId(id) ? id : undefined;
}

/** The key of a realisation for Nix 2.35 and later. */
export function traceKey({ drvPath, outputName }: TracedOutput): string {
  return `${TRACES}${drvPath}/${outputName}.doi`;
}

/** The output that a key is the realisation of, for Nix 2.35 and later; `undefined` for any other key. */
export function tracedOutputOfKey(key: string): TracedOutput | undefined {
  const match = /^([^/]*)\/([^/]*)\.doi$/.exec(key.startsWith(TRACES) ? key.slice(TRACES.length) : '');
  return match === null ? undefined : { drvPath: match[1]!, outputName: match[2]! };
}

/** The hash part of the path that a key is the listing of; `undefined` for any other key. */
export function listedHashPartOf(key: string): string | undefined {
  const hashPart = isListingKey(key) ? key.slice(0, -LISTING.length) : '';
  return isHashPart(hashPart) ? hashPart : undefined;
}

/** The name of the derivation that a key is the build log of; `undefined` for any other key. */
export function loggedNameOf(key: string): string | undefined {
  const name = key.startsWith(LOGS) ? key.slice(LOGS.length) : '';
  return isStoreBaseName(name) ? name : undefined;
}

/** A plain NAR, as `carport serve` has it: the path and its content, as base 32. */
export interface ServedNar {
  readonly hashPart: string;
  readonly narHash: string;
}

/** Where a server of caches has a plain NAR: the name is enough to find it again. */
export function servedNarKey({ hashPart, narHash }: ServedNar): string {
  return `${NARS}${hashPart}-${narHash}.nar`;
}

/** The plain NAR that such a key names; `undefined` for any other key. */
export function servedNarOfKey(key: string): ServedNar | undefined {
  const name = key.startsWith(NARS) ? key.slice(NARS.length) : '';
  const parts = /^(?<hashPart>[0-9a-z]{32})-(?<narHash>[0-9a-z]{52})\.nar$/.exec(name)?.groups;
  return parts && isHashPart(parts.hashPart!) ? { hashPart: parts.hashPart!, narHash: parts.narHash! } : undefined;
}

/** The key of the record that a push has left out paths signed by the key of this name, which may hold any character. */
export function upstreamKeyKey(name: string): string {
  return `${UPSTREAM_KEYS}${Buffer.from(name).toString('hex')}.json`;
}

/** What a key is to a collection of garbage, as far as it tells by itself; `undefined` for what is never garbage. */
export type CollectedKind =
  | { readonly kind: 'path' | 'listing'; readonly hashPart: string }
  | { readonly kind: 'contents' | 'build-log' | 'debug' | 'realisation' };

/** What a collection may remove: what Nix has in a cache, and nothing of what carport keeps beside it. */
export function collectedKindOf(key: string): CollectedKind | undefined {
  const hashPart = hashPartOfKey(key);
  if (hashPart !== undefined) return { kind: 'path', hashPart };
  if (isListingKey(key)) {
    const listed = key.slice(0, -LISTING.length);
    return isHashPart(listed) ? { kind: 'listing', hashPart: listed } : undefined;
  }
  if (key.startsWith(NARS)) return { kind: 'contents' };
  if (key.startsWith(LOGS)) return { kind: 'build-log' };
  if (key.startsWith(DEBUG_INFO)) return { kind: 'debug' };
  return [REALISATIONS, TRACES].some((directory) => key.startsWith(directory)) ? { kind: 'realisation' } : undefined;
}

/** Whether carport keeps something at a key, of a cache or of releases. */
export function isCarportKey(key: string): boolean {
  return key.startsWith('carport/');
}

/** The hash part of the derivation that a log is of; `undefined` for what is no name of one. */
export function logOwnerOf(key: string): string | undefined {
  const name = key.slice(LOGS.length);
  return isHashPart(name.slice(0, 32)) ? name.slice(0, 32) : undefined;
}

/** Whether a key is that of a part of a cache, and not of a release or of something else beside it. */
export function isKeyOfCache(key: string): boolean {
  if ([CACHE_INFO_KEY, CACHE_KEYS, PIN_LIST].includes(key) || hashPartOfKey(key) !== undefined || isListingKey(key))
    return true;
  return [...OF_NIX, ...OF_CARPORT].some((directory) => key.startsWith(directory));
}

/** Other programs than Nix may have another alphabet of hash parts. */
function isListingKey(key: string): boolean {
  return key.length === 32 + LISTING.length && key.endsWith(LISTING) && !key.includes('/');
}
