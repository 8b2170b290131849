/** What was computed of the chunks of local paths, in a file of this machine, so that it is computed once. */

import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { Cutting } from '../../lib/compression/chunks/density.js';
import { VIEW_HASH_SIZE } from '../../lib/compression/chunks/view.js';
import { writeBytesAtomically } from '../../lib/filesystem/atomic-write.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { readSmallFile } from '../../lib/filesystem/small-files.js';
import type { LocalChunks } from '../../lib/workers/jobs/delta/assembly.js';

/** First of the file; another form has another. */
const MAGIC = Buffer.from('carport local chunks 5\n');
const DIGEST = 32;
const ROW = 4 + VIEW_HASH_SIZE;

/** Bytes of the file: chunks of some 300 GB of large files, or 20 GB of small ones. */
const MOST = 8 * 1024 * 1024;

/** A path's place on disk, and what it holds. */
export interface LocalContent {
  readonly realPath: string;
  /** The sha256 of its NAR. */
  readonly narHash: Uint8Array;
  readonly narSize: number;
}

export interface ChunkMemory {
  /** What is known of a path that is cut so, if that is of the same content. */
  recall(content: LocalContent, cutting: Cutting): LocalChunks | undefined;
  note(content: LocalContent, chunks: LocalChunks): void;
  /** Forgets what was wrong. */
  forget(realPath: string): void;
  /** Writes down what was noted or forgotten, with what was known of paths that are not gone: what was used last stays longest. */
  keep(isGone: (realPath: string) => boolean): Promise<void>;
}

/**
 * Opens what is remembered. A file that is not whole counts for nothing, and where this machine's directory cannot be written to
 * nothing is remembered, as without a file: what is remembered only saves work.
 */
export async function openChunkMemory(file: string | undefined): Promise<ChunkMemory> {
  const read = async () =>
    recordsIn((file && (await readSmallFile(file, MOST).catch(() => undefined))) || Buffer.alloc(0));
  const records = new Map(await read());
  const noted = new Set<string>();
  const forgotten = new Set<string>();
  let isOld = false;
  return {
    recall(content, cutting) {
      const key = keyOf(cutting, content.realPath);
      const record = records.get(key);
      const chunks = record && chunksOf(record, content);
      if (chunks === undefined) return undefined;
      // Used last.
      records.delete(key);
      records.set(key, record!);
      return chunks;
    },
    note(content, chunks) {
      const key = keyOf(chunks.cutting, content.realPath);
      records.delete(key);
      records.set(key, encode(content, chunks));
      noted.add(key);
      forgotten.delete(key);
      isOld = true;
    },
    forget(realPath) {
      for (const cutting of ALL_CUTTINGS) {
        const key = keyOf(cutting, realPath);
        noted.delete(key);
        forgotten.add(key);
        if (records.delete(key)) isOld = true;
      }
    },
    async keep(isGone) {
      if (!isOld || file === undefined) return;
      // What others have written meanwhile stays: a server runs for months beside pulls.
      const others = (await read()).filter(([key]) => !records.has(key) && !forgotten.has(key));
      isOld = false;
      const wanted = [...others, ...records].filter(([key]) => noted.has(key) || !isGone(realPathOf(key)));
      const kept = newest(wanted);
      records.clear();
      for (const [key, record] of kept) records.set(key, record);
      forgotten.clear();
      const content = Buffer.concat([MAGIC, ...records.values()]);
      await makeDirectory(dirname(file)).catch(() => undefined);
      await writeBytesAtomically(file, Buffer.concat([content, digestOf(content)])).catch(() => undefined);
    },
  };
}

type KnownRecord = readonly [key: string, record: Buffer];

const ALL_CUTTINGS = [2, 3, 4] as const satisfies readonly Cutting[];

/** The same path may be known as it is cut in several ways: caches hold tables of each. */
function keyOf(cutting: number, realPath: string): string {
  return `${cutting} ${realPath}`;
}

function realPathOf(key: string): string {
  return key.slice(key.indexOf(' ') + 1);
}

/** The last records, which the file has room for. */
function newest(records: readonly KnownRecord[]): readonly KnownRecord[] {
  let room = MOST - MAGIC.length - DIGEST;
  const first = records.findLastIndex(([, record]) => {
    room -= record.length;
    return room < 0;
  });
  return records.slice(first + 1);
}

function digestOf(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}

/** A record: its length without these 4 bytes; lengths of the path; the path; hash and size of its NAR; how it is cut; for each chunk its size and hash. */
const HEAD = 4 + 2;
const CONTENT = 32 + 8 + 1;

function encode({ realPath, narHash, narSize }: LocalContent, { cutting, sizes, hashes }: LocalChunks): Buffer {
  const path = Buffer.from(realPath);
  const record = Buffer.alloc(HEAD + path.length + CONTENT + sizes.length * ROW);
  record.writeUInt32LE(record.length - 4, 0);
  record.writeUInt16LE(path.length, 4);
  record.set(path, HEAD);
  record.set(narHash.subarray(0, 32), HEAD + path.length);
  record.writeDoubleLE(narSize, HEAD + path.length + 32);
  record[HEAD + path.length + 40] = cutting;
  sizes.forEach((size, index) => {
    const at = HEAD + path.length + CONTENT + index * ROW;
    record.writeUInt32LE(size, at);
    record.set(hashes.subarray(index * VIEW_HASH_SIZE, (index + 1) * VIEW_HASH_SIZE), at + 4);
  });
  return record;
}

/** The chunks of a record, if it is about this content and they are all of it. */
function chunksOf(record: Buffer, { narHash, narSize }: LocalContent): LocalChunks | undefined {
  const content = HEAD + record.readUInt16LE(4);
  if (!record.subarray(content, content + 32).equals(narHash) || record.readDoubleLE(content + 32) !== narSize) {
    return undefined;
  }
  const cutting = record[content + 40] as Cutting;
  const rows = record.subarray(content + CONTENT);
  const count = rows.length / ROW;
  const sizes = new Uint32Array(count);
  const hashes = new Uint8Array(count * VIEW_HASH_SIZE);
  let total = 0;
  for (let index = 0; index < count; index++) {
    const at = index * ROW;
    sizes[index] = rows.readUInt32LE(at);
    hashes.set(rows.subarray(at + 4, at + ROW), index * VIEW_HASH_SIZE);
    total += sizes[index]!;
  }
  return total === narSize ? { cutting, sizes, hashes } : undefined;
}

/** The records of a file by their keys; none where it is not as `keep` writes it. */
function recordsIn(file: Buffer): readonly KnownRecord[] {
  const end = file.length - DIGEST;
  if (end < MAGIC.length || !file.subarray(0, MAGIC.length).equals(MAGIC)) return [];
  if (!digestOf(file.subarray(0, end)).equals(file.subarray(end))) return [];
  const records: KnownRecord[] = [];
  for (let at = MAGIC.length; at < end; ) {
    const size = at + HEAD <= end ? 4 + file.readUInt32LE(at) : 0;
    const path = size > HEAD ? file.readUInt16LE(at + 4) : 0;
    const rows = size - HEAD - path - CONTENT;
    if (rows < 0 || rows % ROW !== 0 || at + size > end) return [];
    const key = keyOf(file[at + HEAD + path + 40]!, file.toString('utf8', at + HEAD, at + HEAD + path));
    records.push([key, file.subarray(at, at + size)]);
    at += size;
  }
  return records;
}
