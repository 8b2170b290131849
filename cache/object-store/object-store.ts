import { formatError } from '../../lib/errors.js';

/** An object that is there. */
export interface StoredObject {
  readonly size: number;
  /** Its bytes, in pieces; each call reads from the beginning. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** What `put` stores: bytes or a file. It may move both away: neither is the caller's after the call. */
export type ObjectBody = Uint8Array | { readonly path: string; readonly size: number };

export interface ObjectMetadata {
  readonly contentType: string;
}

/** Objects by key, such as a directory or a bucket. Keys are relative paths without `.`, `..` and empty parts. */
export interface ObjectStore {
  /** For messages; without credentials. */
  readonly url: string;
  /** A path that is free, for a file that `put` will take. The caller removes what it did not put. */
  spoolName(): Promise<string>;
  /** A small object whole, or `undefined` when there is none. More than `limit` bytes are an error. */
  read(key: string, limit: number): Promise<Buffer | undefined>;
  /** An object of any size, or `undefined` when there is none. */
  get(key: string): Promise<StoredObject | undefined>;
  /** Where the object would be if it is a plain file of this machine: workers read it there. */
  localPath?(key: string): string;
  /** Makes the object visible whole or not at all, in place of an older one. */
  put(key: string, body: ObjectBody, metadata: ObjectMetadata): Promise<void>;
  /** Keys at the top that end with `suffix`, in no order. */
  list(suffix: string): AsyncIterable<string>;
}

/** Returns `key` when it names an object inside the store and nothing outside of it. */
export function checkKey(key: string): string {
  const parts = key.split('/');
  const safe = parts.every((part) => part !== '' && part !== '.' && part !== '..');
  if (safe && !/[\x00-\x1f\x7f\\]/.test(key)) return key;
  throw formatError(
    `object key \`${JSON.stringify(key).slice(1, -1)}\``,
    'leads outside the cache or is not a plain relative path',
  );
}
