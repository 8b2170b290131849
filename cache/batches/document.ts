/** Batches: objects with the narinfos of many paths, so that one request asks for all of them. */

import { compressDocument, decompressDocument } from '../../lib/compression/bounded-zstd.js';
import { CarportError, formatError } from '../../lib/errors.js';
import { isHashPart } from '../../lib/nix/store-path.js';
import type { ObjectStore, ReadStore } from '../../lib/object-store/object-store.js';
import { batchKey } from '../layout.js';
import { MOST_IN_BATCH } from './field.js';

/** Compressed bytes, and those that they may become. */
const FILE_LIMIT = 4 * 1024 * 1024;
const TEXT_LIMIT = 16 * 1024 * 1024;

/** 2 MiB take 10 to 25 ms of the main thread; level 6 takes three times that, and saves nothing: most of a narinfo are hashes. */
const LEVEL = 3;

const METADATA = { contentType: 'application/zstd', cacheControl: 'max-age=300' } as const;

const SEPARATOR = Buffer.from('\n\n');
const PATH_FIELD = Buffer.from('StorePath: ');
const LINE_END = 10;

/** A batch that is younger may be of a push that is under way, of which nothing is visible yet. In milliseconds. */
export const YOUNG_MS = 24 * 60 * 60 * 1000;

/** Batches that are read at a time, by who looks at all of them: each takes some memory. */
export const READ_AT_ONCE = 4;

/** The texts of narinfos by the hash parts of their paths, in the order of the batch. They are not looked at yet. */
export type BatchTexts = Map<string, Buffer>;

/** The batch of these texts. */
async function renderBatch(texts: BatchTexts): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (const text of texts.values()) parts.push(...(parts.length > 0 ? [SEPARATOR.subarray(1)] : []), text);
  return compressDocument(Buffer.concat(parts), LEVEL);
}

/** What an untrusted batch has; `E_FORMAT` where it is none, or larger than any that is written. */
export async function parseBatch(bytes: Uint8Array): Promise<BatchTexts> {
  const all = await decompressDocument(bytes, TEXT_LIMIT);
  if (all.at(-1) !== LINE_END) throw formatError('batch', 'the last line does not end');
  const texts: BatchTexts = new Map();
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(SEPARATOR, at);
    const text = all.subarray(at, end < 0 ? all.length : end + 1);
    const hashPart = hashPartIn(text);
    if (hashPart === undefined || texts.has(hashPart))
      throw formatError('batch', 'it holds what is no narinfo, or one twice');
    if (texts.size === MOST_IN_BATCH) throw formatError('batch', `it has more than ${MOST_IN_BATCH} narinfos`);
    texts.set(hashPart, text);
    at += text.length + 1;
  }
  return texts;
}

/** The hash part that a text says it is of. Who takes the text parses it, and sees whether it is. */
function hashPartIn(text: Buffer): string | undefined {
  let at = text.indexOf(PATH_FIELD);
  while (at > 0 && text[at - 1] !== LINE_END) at = text.indexOf(PATH_FIELD, at + 1);
  if (at < 0) return undefined;
  const path = text.toString('latin1', at + PATH_FIELD.length, text.indexOf(LINE_END, at));
  const name = path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('/') + 33);
  // A copy: a part of a text keeps all of it in memory.
  return isHashPart(name) ? Buffer.from(name, 'latin1').toString('latin1') : undefined;
}

/** A batch of a cache, or `undefined`; `E_FORMAT` for what is none. */
export async function readBatch(objects: ReadStore, name: string): Promise<BatchTexts | undefined> {
  const bytes = await objects.read(batchKey(name), FILE_LIMIT);
  return bytes && parseBatch(bytes);
}

/** Writes a batch; one that would be too large for a reader is left out. */
export async function writeBatch(objects: ObjectStore, name: string, texts: BatchTexts): Promise<void> {
  let size = 0;
  for (const text of texts.values()) size += text.length + 1;
  if (size > TEXT_LIMIT || texts.size > MOST_IN_BATCH) return;
  const bytes = await renderBatch(texts);
  if (bytes.length <= FILE_LIMIT) await objects.put(batchKey(name), bytes, METADATA);
}

/** A server that takes no such object loses nothing by it but time. */
export function isRefusedBatch(error: unknown): error is CarportError {
  return (
    error instanceof CarportError && ['E_REMOTE', 'E_UNSUPPORTED', 'E_NOT_FOUND', 'E_CREDENTIALS'].includes(error.code)
  );
}
