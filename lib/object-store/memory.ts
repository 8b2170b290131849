/**
 * A whole object store in memory with the guarantees of a bucket of Garage, and no more: what was put is read by all at once,
 * the last put of a key stays, there is no compare-and-swap, and a listing is made of pages that each show another instant.
 * Models and tests run what ships on it, thousands of times, with a clock of their own.
 */

import { hash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  BUCKET_TRAITS,
  type ByteRange,
  checkKey,
  checkRange,
  collectSmall,
  LIST_PAGE,
  type ListedObject,
  type ListOptions,
  missingObject,
  type ObjectBody,
  type ObjectMetadata,
  type StoredObject,
  type StoreTraits,
  type WriteStore,
} from './object-store.js';
import { createSpool } from './spool.js';

/** An object as a server has it. */
export interface MemoryObject {
  readonly bytes: Uint8Array;
  readonly metadata: ObjectMetadata;
  /** When it was put, in whole seconds as servers tell it. */
  readonly modified: Date;
  /** The MD5 of the bytes in hex. */
  readonly etag: string;
}

/** What all handles on one store have in common, as processes have a server. It may be looked at, copied and filled. */
export type MemoryObjects = Map<string, MemoryObject>;

export interface MemoryStoreOptions {
  /** The store's name in messages. */
  readonly url?: string;
  readonly traits?: StoreTraits;
  /** The server's clock. */
  readonly now?: () => Date;
  /** Keys that are listed at one instant. */
  readonly pageSize?: number;
  /** Is waited for before each page of a listing, as a page is a request of its own. */
  readonly beforePage?: () => Promise<void> | void;
}

const PIECE = 256 * 1024;

/** Opens a store on objects in memory. */
export function openMemoryStore(objects: MemoryObjects = new Map(), options: MemoryStoreOptions = {}): WriteStore {
  const { url = 's3://memory', traits = BUCKET_TRAITS, now = () => new Date() } = options;
  const spool = createSpool();
  const store = (key: string, bytes: Uint8Array, metadata: ObjectMetadata) => {
    const modified = wholeSeconds(now());
    objects.set(key, { bytes, metadata, modified, etag: hash('md5', bytes) });
  };
  const find = (key: string) => objects.get(checkKey(key));
  const findSource = (key: string) => {
    const found = find(key);
    if (found) return found;
    throw missingObject(key, url);
  };
  const open = async (key: string, range?: ByteRange) => {
    const found = find(key);
    if (range) checkRange(range);
    return found && inPieces(range ? part(found.bytes, range) : found.bytes);
  };
  return {
    url,
    traits,
    localFile: () => undefined,
    spoolName: () => spool.name(),
    async read(key, limit) {
      const object = await open(key);
      return object && collectSmall(object.bytes(), limit, key);
    },
    async stat(key) {
      const found = find(key);
      return found && { size: found.bytes.length, modified: found.modified, etag: found.etag };
    },
    open,
    async put(key, body, metadata) {
      const target = checkKey(key);
      store(target, await bytesOf(body), metadata);
    },
    async copy(from, to) {
      const target = checkKey(to);
      const { bytes, metadata } = findSource(from);
      store(target, bytes, metadata);
    },
    async alias(from, to, { dryRun = false } = {}) {
      const target = checkKey(to);
      const { bytes, etag, metadata } = findSource(from);
      const wanted = { ...metadata, cacheControl: 'no-cache' };
      const there = objects.get(target);
      if (there?.etag === etag && hasMetadata(there, wanted)) return false;
      if (!dryRun) store(target, bytes, wanted);
      return true;
    },
    list: (listed) => listPages(objects, listed, options),
    async remove(keys) {
      for (const key of keys) checkKey(key);
      for (const key of keys) objects.delete(key);
    },
    removeUnfinished: async () => 0,
    now: async () => wholeSeconds(now()),
    close: () => spool.remove(),
  };
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

/** Bytes that nobody else has: the caller may do with its own what it likes. */
async function bytesOf(body: ObjectBody): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return Uint8Array.from(body);
  const bytes = await readFile(body.path);
  if (bytes.length === body.size) return bytes;
  throw new Error(`\`${body.path}\` has not the size that it should have`);
}

function part(bytes: Uint8Array, { offset, length }: ByteRange): Uint8Array {
  return bytes.subarray(offset, offset + length);
}

/** Readers get copies, and the object that was there when they asked. */
function inPieces(bytes: Uint8Array): StoredObject {
  return {
    size: bytes.length,
    async *bytes() {
      for (let at = 0; at < bytes.length; at += PIECE) yield Uint8Array.from(bytes.subarray(at, at + PIECE));
    },
    discard() {},
  };
}

function hasMetadata({ metadata }: MemoryObject, wanted: ObjectMetadata): boolean {
  return (['contentType', 'cacheControl', 'contentDisposition'] as const).every(
    (name) => metadata[name] === wanted[name],
  );
}

/** Each page is what there is after the last key of the one before, when it is asked for. */
async function* listPages(
  objects: MemoryObjects,
  { prefix = '', recursive = false }: ListOptions,
  { pageSize = LIST_PAGE, beforePage }: MemoryStoreOptions,
): AsyncGenerator<ListedObject> {
  const isListed = (key: string) => key.startsWith(prefix) && (recursive || !key.slice(prefix.length).includes('/'));
  for (let last: string | undefined; ; ) {
    await beforePage?.();
    const after = [...objects]
      .filter(([key]) => isListed(key) && (last === undefined || compareKeys(key, last) > 0))
      .sort(([a], [b]) => compareKeys(a, b));
    const page = after.slice(0, pageSize);
    for (const [key, { bytes, modified, etag }] of page) yield { key, size: bytes.length, modified, md5: etag };
    if (page.length === after.length) return;
    last = page.at(-1)?.[0];
  }
}

/** Orders keys by their bytes in UTF-8, where what takes two units of JavaScript's strings comes after all that take one. */
function compareKeys(a: string, b: string): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at === end ? a.length - b.length : rankOf(a.charCodeAt(at)) - rankOf(b.charCodeAt(at));
}

/** Halves of a pair are between U+D800 and U+DFFF, and of more than all of one unit. */
function rankOf(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
