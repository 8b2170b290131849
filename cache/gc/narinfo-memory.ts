/**
 * What narinfos said when they were read last, in a file of this machine: who collects garbage every night reads only what is
 * new. It is read and written in the order of hash parts, so that it takes the same memory for any cache.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import { PACKED } from './hash-parts.js';
import { type ListedNarInfo, MD5, type NarInfoFacts } from './survey.js';

/** Recalls and notes narinfos, each in the order of their hash parts. */
export interface NarInfoMemory {
  /** What a narinfo says, if it was read before and is listed as it was then. */
  recall(listed: ListedNarInfo): Promise<NarInfoFacts | undefined>;
  /** Notes what a narinfo says. */
  note(listed: ListedNarInfo, facts: NarInfoFacts): Promise<void>;
  /** Keeps what was noted for the next time; without it what was known stays. */
  keep(): Promise<void>;
  close(): Promise<void>;
}

/** Remembers nothing. */
export const NO_MEMORY: NarInfoMemory = {
  recall: async () => undefined,
  note: async () => {},
  keep: async () => {},
  close: async () => {},
};

/** First of the file; another form has another. */
const MAGIC = Buffer.from('carport narinfos 3\n');
const DIGEST = 32;
const CHUNK = 1024 * 1024;
/** More than a narinfo can say, of which 4 MiB are read. */
const MOST = 8 * 1024 * 1024;

/** A record: its length; hash part, MD5, size, time; size of the NAR; lengths of name, key of the NAR and references, derivation, name of the batch, its narinfos; those. */
const HEAD = PACKED + MD5 + 8 + 8 + 8 + 2 + 4 + 4 + 1 + 1 + 2;

/**
 * Opens what is remembered of a cache. A file that is not whole counts for nothing. Where this machine's directory cannot be
 * written to nothing is remembered.
 */
export async function openNarInfoMemory(directory: string, url: string): Promise<NarInfoMemory> {
  const path = join(directory, createHash('sha256').update(url).digest('hex').slice(0, 32));
  try {
    await makeDirectory(dirname(path));
    await removeLeftovers(directory);
    const temporary = (await createTemporaryNames(directory))();
    const writer = await createWriter(temporary);
    const reader = await openReader(path);
    const finish = finishing(writer, temporary, path);
    return {
      ...{ recall: reader.recall, note: finish.note, keep: finish.keep },
      async close() {
        await reader.close();
        await finish.close();
      },
    };
  } catch {
    return NO_MEMORY;
  }
}

function finishing(writer: Writer, temporary: string, path: string) {
  let isKept = false;
  return {
    note: (listed: ListedNarInfo, facts: NarInfoFacts) => writer.add(encode(listed, facts)),
    async keep() {
      await writer.finish();
      await rename(temporary, path);
      isKept = true;
    },
    async close() {
      await writer.close();
      if (!isKept) await rm(temporary, { force: true });
    },
  };
}

type Writer = Awaited<ReturnType<typeof createWriter>>;

async function createWriter(path: string) {
  const file = await open(path, 'wx', 0o600);
  const digest = createHash('sha256').update(MAGIC);
  let pending: Buffer[] = [MAGIC];
  let size = 0;
  const flush = async () => {
    const all = Buffer.concat(pending);
    pending = [];
    size = 0;
    await file.writeFile(all);
  };
  return {
    async add(record: Buffer) {
      digest.update(record);
      pending.push(record);
      size += record.length;
      if (size >= CHUNK) await flush();
    },
    async finish() {
      pending.push(digest.digest());
      await flush();
    },
    close: () => file.close(),
  };
}

function encode({ packed, md5, size, modified }: ListedNarInfo, facts: NarInfoFacts): Buffer {
  const { name, narKey, narSize, references, deriver = '', batch = { name: '', count: 0 } } = facts;
  const key = Buffer.from(narKey);
  const record = Buffer.alloc(
    4 + HEAD + name.length + key.length + references.length + deriver.length + batch.name.length,
  );
  record.writeUInt32LE(record.length - 4, 0);
  record.set(packed, 4);
  record.set(md5, 4 + PACKED);
  let at = 4 + PACKED + MD5;
  at = record.writeDoubleLE(size, at);
  at = record.writeDoubleLE(modified, at);
  at = record.writeDoubleLE(narSize, at);
  at = record.writeUInt16LE(name.length, at);
  at = record.writeUInt32LE(key.length, at);
  at = record.writeUInt32LE(references.length, at);
  at = record.writeUInt8(deriver.length, at);
  at = record.writeUInt8(batch.name.length, at);
  at = record.writeUInt16LE(batch.count, at);
  at += record.write(name, at, 'latin1');
  record.set(key, at);
  record.set(references, at + key.length);
  record.write(deriver + batch.name, at + key.length + references.length, 'latin1');
  return record;
}

function decode(record: Buffer): NarInfoFacts {
  const narSize = record.readDoubleLE(PACKED + MD5 + 16);
  let at = PACKED + MD5 + 24;
  const sizes = [record.readUInt16LE(at), record.readUInt32LE(at + 2), record.readUInt32LE(at + 6)] as const;
  const [deriverSize, batchSize, count] = [record[at + 10]!, record[at + 11]!, record.readUInt16LE(at + 12)];
  at = HEAD;
  const take = (size: number) => {
    at += size;
    return record.subarray(at - size, at);
  };
  const name = take(sizes[0]).toString('latin1');
  const narKey = take(sizes[1]).toString();
  const references = Uint8Array.from(take(sizes[2]));
  const deriver = take(deriverSize).toString('latin1');
  const batch = batchSize > 0 ? { name: take(batchSize).toString('latin1'), count } : undefined;
  return { name, narKey, narSize, references, deriver: deriver === '' ? undefined : deriver, batch };
}

/** Reads records in their order, each when it is its turn. */
async function openReader(path: string): Promise<Pick<NarInfoMemory, 'recall' | 'close'>> {
  const records = recordsIn(path);
  let next: Buffer | undefined = await first(records);
  return {
    async recall({ packed, md5, size, modified }) {
      let order = -1;
      while (next !== undefined) {
        order = Buffer.compare(next.subarray(0, PACKED), packed);
        if (order >= 0) break;
        next = await first(records);
      }
      if (next === undefined || order !== 0) return undefined;
      const isSame =
        next.subarray(PACKED, PACKED + MD5).equals(md5) &&
        next.readDoubleLE(PACKED + MD5) === size &&
        next.readDoubleLE(PACKED + MD5 + 8) === modified;
      return isSame ? decode(next) : undefined;
    },
    async close() {
      await records.return(undefined);
    },
  };
}

async function first(records: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  const { done, value } = await records.next();
  return done ? undefined : value;
}

async function* recordsIn(path: string): AsyncGenerator<Buffer> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return;
  try {
    const { size } = await file.stat();
    const end = size - DIGEST;
    if (!(await isWhole(file, end))) return;
    let held: Buffer = Buffer.alloc(0);
    for await (const chunk of chunksOf(file, MAGIC.length, end)) {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      let at = 0;
      while (held.length >= at + 4) {
        const length = held.readUInt32LE(at);
        if (length < HEAD || length > MOST) return;
        if (held.length < at + 4 + length) break;
        yield held.subarray(at + 4, at + 4 + length);
        at += 4 + length;
      }
      held = held.subarray(at);
    }
  } finally {
    await file.close();
  }
}

async function isWhole(file: FileHandle, end: number): Promise<boolean> {
  if (end < MAGIC.length) return false;
  const digest = createHash('sha256');
  for await (const chunk of chunksOf(file, 0, end)) digest.update(chunk);
  const { buffer } = await file.read(Buffer.alloc(DIGEST), 0, DIGEST, end);
  return digest.digest().equals(buffer);
}

async function* chunksOf(file: FileHandle, from: number, end: number): AsyncGenerator<Buffer> {
  for (let at = from; at < end; ) {
    const length = Math.min(CHUNK, end - at);
    const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, at);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}
