/** The contract of object stores: what each can be asked, what it promises, and keys that cannot lead outside. */

import type { Pieces } from '../buffers.js';
import { CarportError, formatError } from '../errors.js';
import type { BytesOrFile } from '../http/body.js';

/** An object that is there, or the part of it that was asked for. */
export interface StoredObject {
  /** Bytes that `bytes` gives; `NaN` where a web server does not tell, or has encoded it. */
  readonly size: number;
  /** A part was asked for, and the server sends all of it: what is given is cut out of that. */
  readonly isWhole?: boolean;
  /** The bytes in pieces. Read them once, at once, and to their end or the iterator's `return`. */
  bytes(): Pieces;
  /** Lets go of an object whose bytes are not wanted; of a server's also while they are read, which fails then. */
  discard(): void;
}

/** What a store knows of an object without reading it. */
export interface ObjectStat {
  /** Bytes; `NaN` where a web server does not tell, or has encoded it. */
  readonly size: number;
  /** When it was last written, by the store's clock, as exactly as the store keeps it (servers: seconds). */
  readonly modified: Date | undefined;
  /** Differs where another content was put at the key; nothing else can be read from it. */
  readonly etag: string | undefined;
}

/** A part of an object. What lies beyond its end is left out, so that less may come, or nothing. */
export interface ByteRange {
  /** The first byte, from 0. */
  readonly offset: number;
  /** Bytes, at least 1. */
  readonly length: number;
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
  /** Leaves out directories that this user may not read, as far as they are below the one that is listed; else they are an error. */
  readonly skipsUnreadable?: boolean;
}

/** What makes one way of using a store better than another, where both lead to the same end. */
export interface StoreTraits {
  /** It answers at once, and a put is a rename: neither asking less nor asking for much at a time saves anything. */
  readonly isImmediate: boolean;
  /** A network lies between, which may damage what is whole in the store. */
  readonly isRemote: boolean;
  /** Single requests that take as long as a page of the listing; infinite where listing never pays, or cannot be done. */
  readonly listPageCost: number;
  /** How often an object is read before wrong bytes are taken for its own. */
  readonly maxReads: number;
}

/** A directory of this machine. A file mostly stays as it is: its second read is there to be sure. */
export const LOCAL_TRAITS: StoreTraits = {
  isImmediate: true,
  isRemote: false,
  listPageCost: Number.POSITIVE_INFINITY,
  maxReads: 2,
};

/** A bucket. Single requests go beside each other, pages do not. */
export const BUCKET_TRAITS: StoreTraits = { isImmediate: false, isRemote: true, listPageCost: 10, maxReads: 3 };

/** A web server, which has no listing. */
export const WEB_SERVER_TRAITS: StoreTraits = { ...BUCKET_TRAITS, listPageCost: Number.POSITIVE_INFINITY };

/** Objects by key, such as a directory or a bucket. Keys are relative paths without `.`, `..` and empty parts. */
export interface ReadStore {
  /** The store's name in messages; without credentials. */
  readonly url: string;
  readonly traits: StoreTraits;
  /** Where the object would be if it is a plain file of this machine, which workers read there; else `undefined`. */
  localFile(key: string): string | undefined;
  /** A small object whole, or `undefined` when there is none. More than `limit` bytes are an error. */
  read(key: string, limit: number): Promise<Buffer | undefined>;
  /** What is known of an object, or `undefined` when there is none. Costs one request. */
  stat(key: string): Promise<ObjectStat | undefined>;
  /** An object of any size or a range of it, or `undefined` when there is none. */
  open(key: string, range?: ByteRange): Promise<StoredObject | undefined>;
  /** Lets go of connections and of files that were spooled. */
  close(): Promise<void>;
}

/** An object that a link in a document of the store leads to; the same as of a key. */
export interface LinkedObject {
  read(limit: number): Promise<Buffer | undefined>;
  stat(): Promise<ObjectStat | undefined>;
  open(range?: ByteRange): Promise<StoredObject | undefined>;
  /**
   * The bytes of several ranges, which follow each other, of one request; it is not gone on with when it breaks off. `undefined` where the
   * server answers otherwise, as most do, or there is no such object. Absent where it is on another server than the store.
   */
  openMany?(ranges: readonly ByteRange[]): Promise<AsyncIterable<Uint8Array> | undefined>;
}

/** A store whose documents may have links, as those of web servers do. */
export interface LinkStore extends ReadStore {
  /** Throws `E_FORMAT` for a link that is not followed. Another server gets no password. */
  link(link: string): LinkedObject;
  /**
   * Has the next small object that is read tell whether the server sends several ranges in an answer: it is asked for in two, which costs
   * no request where the answer is all of it.
   */
  findOutRanges(): void;
  /** Whether the server is known to send several ranges in an answer. */
  sendsManyRanges(): boolean;
}

/** Whether links are followed; elsewhere documents name keys. */
export function hasLinks(objects: ReadStore): objects is LinkStore {
  return 'link' in objects;
}

/** An object, as the server of several stores knows it. */
export interface ServedObject {
  /** The server's address. */
  readonly server: string;
  readonly bucket: string;
  /** The whole key. */
  readonly key: string;
}

/** What every URL of a cache opens. A web server is no more than this. */
export interface ObjectStore extends ReadStore {
  /** A path that is free, for a file that `put` will take. The caller removes it; that `put` may have moved it is fine. */
  spoolName(): Promise<string>;
  /** Makes the object visible whole or not at all, in place of an older one. */
  put(key: string, body: ObjectBody, metadata: ObjectMetadata): Promise<void>;
  /**
   * Where a rename of a file with a name of `spoolName` is all of a `put`: the path of a key, for threads that have made
   * the file. Absent where there is more to it.
   */
  readonly placeOf?: ((key: string) => string) | undefined;
  /** What the server calls an object, where one server has several stores. */
  readonly servedAs?: (key: string) => Promise<ServedObject>;
  /**
   * Has the server copy an object of another of its stores, with its metadata, in place of an older one. False, and nothing has
   * changed, where that is another server, or one that does not: its bytes are to be sent then.
   */
  readonly takeServed?: (from: ServedObject, to: string) => Promise<boolean>;
  /** The time by the clock that dates objects, to the second. `E_REMOTE` where a server does not tell it. */
  now(): Promise<Date>;
}

/** A store that tells what it has. */
export interface ListStore extends ReadStore {
  /**
   * Objects in the order of their keys' bytes; with `recursive`, some servers give all below a directory where that stands.
   * It is no snapshot: what is put or removed meanwhile may appear or not; what was there before and stays does.
   */
  list(options: ListOptions): AsyncIterable<ListedObject>;
}

/** A store that does everything: a directory or a bucket. */
export interface WriteStore extends ObjectStore, ListStore {
  /**
   * Copies an object within the store, with its metadata, whole or not at all, in place of an older one. `E_NOT_FOUND` when
   * there is none.
   */
  copy(from: string, to: string): Promise<void>;
  /**
   * Has readers find an object under another key, too, and ask for it again each time, as another may be there next: in a
   * bucket by a copy whose `Cache-Control` says so, in a directory by a second name of the file, which goes on to be that
   * file when another is put at `from`. Says whether it was not there already; with `dryRun` it says so and changes nothing.
   * `E_NOT_FOUND` when there is no such object, `E_UNSUPPORTED` when the server cannot copy it.
   */
  alias(from: string, to: string, options?: { readonly dryRun?: boolean }): Promise<boolean>;
  /** Removes objects; what is not there is fine. */
  remove(keys: readonly string[]): Promise<void>;
  /** Removes uploads to keys that begin so which nobody has finished, whoever began them; gives how many. */
  removeUnfinished(prefix: string): Promise<number>;
}

/**
 * The store as one that can be changed in every way. `E_UNSUPPORTED` for a web server; `what` ends the sentence that it is
 * one: `where nothing can be removed`.
 */
export function asWritable(objects: ReadStore, what: string): WriteStore {
  if (isWritable(objects)) return objects;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is a web server, ${what}`, {
    hint: "use the cache's `s3://` or `file://` URL",
  });
}

/** The store as one that tells what it has. `E_UNSUPPORTED` for a web server. */
export function asListable(objects: ReadStore): ListStore {
  if (isListable(objects)) return objects;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` cannot be listed`, {
    hint: "a web server has no listing: use the cache's `s3://` or `file://` URL",
  });
}

const CHANGES = ['put', 'copy', 'alias', 'remove', 'removeUnfinished'] as const satisfies readonly (keyof WriteStore)[];

function isWritable(objects: ReadStore): objects is WriteStore {
  return isListable(objects) && CHANGES.every((change) => change in objects);
}

/** Whether a store tells what it has, for those who can do without. */
export function isListable(objects: ReadStore): objects is ListStore {
  return 'list' in objects;
}

/** The listing of a store that has one; see `asListable`. */
export function listObjects(objects: ReadStore, options: ListOptions = {}): AsyncIterable<ListedObject> {
  return asListable(objects).list(options);
}

/** The error of a copy of what is not there. */
export function missingObject(key: string, url: string): CarportError {
  return new CarportError('E_NOT_FOUND', `there is no \`${key}\` in \`${url}\``, {
    hint: 'somebody has removed it: run it again',
  });
}

/** Keys come in pages of about so many, each of which is one request of a bucket. */
export const LIST_PAGE = 1000;

/** Returns the range; throws for one that is none. */
export function checkRange(range: ByteRange): ByteRange {
  const { offset, length } = range;
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length > 0) return range;
  throw new RangeError(`not a range of bytes: ${length} from ${offset}`);
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
