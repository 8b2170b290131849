/** The interface: get, put, list, remove; keys cannot lead outside. */

import { CarportError, formatError } from '../errors.js';
import type { BytesOrFile } from '../http/body.js';

/** An object that is there. */
export interface StoredObject {
  readonly size: number;
  /** Its bytes, in pieces. Read them once, at once, and to their end or the iterator's `return`. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** What `put` stores: bytes or a file. It may move both away: neither is the caller's after the call. */
export type ObjectBody = BytesOrFile;

export interface ObjectMetadata {
  readonly contentType: string;
  /** How long readers and proxies may keep it, as `Cache-Control` says. */
  readonly cacheControl?: string;
  /** What browsers do with it, as `Content-Disposition` says. */
  readonly contentDisposition?: string;
}

export interface ListedObject {
  readonly key: string;
  readonly size: number;
  /** When it was last written, by the store's clock. */
  readonly modified: Date;
  /** 32 hex digits, where the store knows it without reading. */
  readonly md5?: string;
}

export interface ListOptions {
  /** Only keys that begin so. */
  readonly prefix?: string;
  /** Also keys that have a `/` after the prefix. */
  readonly recursive?: boolean;
}

/** Objects by key, such as a directory or a bucket. Keys are relative paths without `.`, `..` and empty parts. */
export interface ObjectStore {
  /** For messages; without credentials. */
  readonly url: string;
  /** A path that is free, for a file that `put` will take. The caller removes it; that `put` may have moved it is fine. */
  spoolName(): Promise<string>;
  /** A small object whole, or `undefined` when there is none. More than `limit` bytes are an error. */
  read(key: string, limit: number): Promise<Buffer | undefined>;
  /** The size of an object, or `undefined` when there is none. */
  size(key: string): Promise<number | undefined>;
  /** An object of any size, or `undefined` when there is none. */
  get(key: string): Promise<StoredObject | undefined>;
  /** Where the object would be if it is a plain file of this machine: workers read it there. */
  localPath?(key: string): string;
  /** Makes the object visible whole or not at all, in place of an older one. */
  put(key: string, body: ObjectBody, metadata: ObjectMetadata): Promise<void>;
  /**
   * Copies an object within the store, with its metadata, whole or not at all, in place of an older one. `E_NOT_FOUND` when
   * there is none. Web servers cannot.
   */
  copy?(from: string, to: string): Promise<void>;
  /**
   * Has readers find an object under another key, too, and ask for it again each time, as another may be there next: in a
   * bucket by a copy whose `Cache-Control` says so, in a directory by a second name of the file, which goes on to be that
   * file when another is put at `from`. Says whether it was not there already; with `dryRun` it says so and changes nothing.
   * `E_NOT_FOUND` when there is no such object, `E_UNSUPPORTED` when the server cannot copy it. Web servers cannot.
   */
  copyForReaders?(from: string, to: string, options?: { readonly dryRun?: boolean }): Promise<boolean>;
  /** Objects in the order of their keys' bytes. Web servers cannot list. */
  list?(options: ListOptions): AsyncIterable<ListedObject>;
  /** Removes objects; what is not there is fine. */
  remove?(keys: readonly string[]): Promise<void>;
  /** Removes uploads to keys that begin so which nobody has finished, whoever began them; gives how many. */
  removeUnfinished?(prefix: string): Promise<number>;
  /** Lets go of connections and of files that were spooled. */
  close(): Promise<void>;
}

/** The error of a copy of what is not there. */
export function missingObject(key: string, url: string): CarportError {
  return new CarportError('E_NOT_FOUND', `there is no \`${key}\` in \`${url}\``, {
    hint: 'somebody has removed it: run it again',
  });
}

/** Keys come in pages of about so many, each of which is one request of a bucket. */
export const LIST_PAGE = 1000;

/** The listing of a store that has one. */
export function listObjects(objects: ObjectStore, options: ListOptions = {}): AsyncIterable<ListedObject> {
  if (objects.list) return objects.list(options);
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` cannot be listed`, {
    hint: "a web server has no listing: use the cache's `s3://` or `file://` URL",
  });
}

/** Returns `key` when it names an object inside the store and nothing outside of it. */
export function checkKey(key: string): string {
  if (isKey(key)) return key;
  throw formatError(
    `object key \`${JSON.stringify(key).slice(1, -1)}\``,
    'leads outside the cache or is not a plain relative path',
  );
}

/** True for a plain relative path. */
export function isKey(key: string): boolean {
  const parts = key.split('/');
  return parts.every((part) => part !== '' && part !== '.' && part !== '..') && !/[\x00-\x1f\x7f\\]/.test(key);
}

/** Gathers a small object; more than `limit` bytes are refused. `name` is for the message. */
export async function collectSmall(pieces: AsyncIterable<Uint8Array>, limit: number, name: string): Promise<Buffer> {
  const held: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    size += piece.length;
    if (size > limit)
      throw formatError(`\`${name}\``, `it has more than the ${limit} bytes that are read of such an object`);
    held.push(piece);
  }
  return Buffer.concat(held);
}
