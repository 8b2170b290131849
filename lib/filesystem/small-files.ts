/**
 * Reads, writes, renames and listings of small files, and hashes of parts of large ones, done in batches on a thread of their own. A cache of 2,000
 * paths is 6,000 such files; one at a time through `node:fs/promises` they cost the main thread some 150 µs each, in
 * batches 15 µs.
 */

import type { Dirent } from 'node:fs';
import { opendir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { ownMemory } from '../buffers.js';
import { CarportError, formatError, isErrno } from '../errors.js';
import { entryNames, type FoundFile } from './directory-files.js';
import { makeDirectory } from './make-directory.js';
import { threadFailure } from './open-files.js';

export type FileOperation =
  | { readonly type: 'read'; readonly path: string; readonly limit: number }
  | { readonly type: 'write'; readonly path: string; readonly temporary: string; readonly bytes: Uint8Array }
  | { readonly type: 'move'; readonly from: string; readonly to: string }
  | { readonly type: 'announce'; readonly path: string; readonly bytes: Uint8Array; readonly moves: readonly Move[] }
  | { readonly type: 'link'; readonly directory: string; readonly targets: ReadonlyMap<string, string> }
  | { readonly type: 'unlink'; readonly directory: string; readonly names: readonly string[] }
  | { readonly type: 'find'; readonly directory: string; readonly limit: number }
  | { readonly type: 'entries'; readonly directory: string; readonly prefix: string }
  | { readonly type: 'stat'; readonly directory: string; readonly paths: readonly string[] }
  | {
      readonly type: 'md5';
      readonly path: string;
      readonly start: number;
      readonly size: number;
      /** Where the bytes are put, too. */
      readonly into?: SharedArrayBuffer | undefined;
    };

/** Where something is, and is to be. */
export type Move = readonly [from: string, to: string];

/** What an operation that asks for something gave. */
export interface FileResult {
  readonly bytes?: Uint8Array | undefined;
  /** Files or names as JSON: that is cheaper between threads than objects are. */
  readonly json?: string;
}

/** What became of an operation; an error loses its class on the way between threads. */
export type FileAnswer = FileResult | { readonly error: { readonly message: string } & Record<string, unknown> };

/** The bytes of a plain file, or `undefined` when there is none. More than `limit` bytes are refused unread. */
export async function readSmallFile(path: string, limit: number): Promise<Buffer | undefined> {
  if (isAlone()) return readPlainFile(path, limit);
  const { bytes } = await submit({ type: 'read', path, limit });
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Writes a file so that it is there whole or not at all. `temporary` is on the same file system. Makes directories. */
export async function writeFileAtomic(path: string, temporary: string, content: string | Uint8Array): Promise<void> {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (isAlone()) return writePlainFile(path, temporary, bytes);
  await submit({ type: 'write', path, temporary, bytes: ownMemory(bytes) });
}

/** Renames a file or directory. Makes directories. */
export async function moveFile(from: string, to: string): Promise<void> {
  await submit({ type: 'move', from, to });
}

/** Writes a file, then renames one thing after another, that file, too, perhaps. An error may come after any of this. */
export async function writeThenMove(path: string, content: string, moves: readonly Move[]): Promise<void> {
  await submit({ type: 'announce', path, bytes: ownMemory(Buffer.from(content)), moves });
}

/** Makes symbolic links in a directory. */
export async function makeLinks(directory: string, targets: ReadonlyMap<string, string>): Promise<void> {
  await submit({ type: 'link', directory, targets });
}

/** Removes files and links of a directory, as far as they are there. */
export async function removeFiles(directory: string, names: readonly string[]): Promise<void> {
  await submit({ type: 'unlink', directory, names });
}

/** As `findFiles` of `directory-files.ts`. */
export async function findSmallFiles(directory: string, limit: number): Promise<readonly FoundFile[] | undefined> {
  return foundOf(await submit({ type: 'find', directory, limit }));
}

/** As `readEntries` there. */
export async function listEntries(directory: string, prefix: string): Promise<readonly string[]> {
  const few = isAlone() ? await readFewEntries(directory) : undefined;
  return few ? entryNames(few, prefix) : (foundOf(await submit({ type: 'entries', directory, prefix })) ?? []);
}

/** As `statFiles` there. */
export async function statSmallFiles(directory: string, paths: readonly string[]): Promise<readonly FoundFile[]> {
  return foundOf(await submit({ type: 'stat', directory, paths })) ?? [];
}

/**
 * The MD5 of a part of a file, which may be large; one that has fewer bytes is an error. Its bytes are put at the beginning of
 * `into`, which has room for them, where that is given.
 */
export async function md5OfFile(
  path: string,
  start: number,
  size: number,
  into?: SharedArrayBuffer | undefined,
): Promise<Buffer> {
  const { bytes } = await submit({ type: 'md5', path, start, size, into });
  return Buffer.from(bytes!);
}

function foundOf<T>({ json }: FileResult): readonly T[] | undefined {
  return json === undefined ? undefined : (JSON.parse(json) as readonly T[]);
}

interface Pending {
  readonly operation: FileOperation;
  readonly resolve: (answer: FileResult) => void;
  readonly reject: (error: unknown) => void;
}

/** A thread takes longer to start than so many files take without. */
const MOST_ALONE = 16;
let alone = 0;

function isAlone(): boolean {
  return thread === undefined && ++alone <= MOST_ALONE;
}

/** As the thread reads. */
async function readPlainFile(path: string, limit: number): Promise<Buffer | undefined> {
  try {
    const stats = await stat(path);
    if (stats.isDirectory()) return undefined;
    // A pipe or a device would block, or never end.
    if (!stats.isFile()) throw formatError(`\`${path}\``, 'is not a plain file');
    if (stats.size > limit) throw formatError(`\`${path}\``, `has more than ${limit} bytes`);
    return await readFile(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/** As the thread writes. */
async function writePlainFile(path: string, temporary: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(temporary, bytes, { flag: 'wx' });
    await rename(temporary, path).catch(async (error) => {
      if (!isErrno(error, 'ENOENT')) throw error;
      await makeDirectory(dirname(path));
      await rename(temporary, path);
    });
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** More than so many are read, and put in order, elsewhere. */
const FEW_ENTRIES = 64;

/** What is in a directory, if that is little. */
async function readFewEntries(directory: string): Promise<readonly Dirent[] | undefined> {
  const entries: Dirent[] = [];
  try {
    for await (const entry of await opendir(directory, { bufferSize: FEW_ENTRIES })) {
      if (entries.push(entry) > FEW_ENTRIES) return undefined;
    }
    return entries;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return entries;
    throw error;
  }
}

const queue: Pending[] = [];
let running: readonly Pending[] | undefined;
let thread: Worker | undefined;

function submit(operation: FileOperation): Promise<FileResult> {
  return new Promise((resolve, reject) => {
    queue.push({ operation, resolve, reject });
    // What is asked for in the same turn goes together; what comes while a batch is under way goes with the next.
    if (queue.length === 1 && running === undefined) setImmediate(sendBatch);
  });
}

function sendBatch(): void {
  if (running !== undefined || queue.length === 0) return;
  // What takes a while ends a batch: who waits for it does not wait for the next.
  const slow = queue.findIndex(({ operation }) => operation.type === 'md5');
  running = queue.splice(0, slow === -1 ? queue.length : slow + 1);
  thread ??= start();
  thread.ref();
  const operations = running.map(({ operation }) => operation);
  const buffers = operations.flatMap((operation) => ('bytes' in operation ? [operation.bytes.buffer] : []));
  try {
    thread.postMessage(operations, buffers as ArrayBuffer[]);
  } catch (error) {
    // The same bytes twice cannot be moved.
    failBatch(error);
  }
}

/** The refusals of `read` are carport's own; the rest are the file system's. */
function rebuild(error: { readonly message: string } & Record<string, unknown>): Error {
  if (error.code === 'E_FORMAT') return new CarportError('E_FORMAT', error.message);
  return Object.assign(new Error(error.message), error);
}

function start(): Worker {
  // Node ends the process when it copies an environment with names that are not UTF-8.
  const worker = new Worker(new URL('./small-files-thread.js', import.meta.url), { env: SHARE_ENV });
  worker.on('message', (answers: readonly FileAnswer[]) => {
    const batch = running ?? [];
    running = undefined;
    worker.unref();
    batch.forEach(({ resolve, reject }, index) => {
      const answer = answers[index]!;
      if ('error' in answer) reject(rebuild(answer.error));
      else resolve(answer);
    });
    sendBatch();
  });
  const end = (error: unknown) => {
    if (thread !== worker) return;
    thread = undefined;
    failBatch(error);
  };
  worker.on('error', (error) => end(threadFailure(error)));
  worker.on('exit', () => end(new Error('the thread for small files ended')));
  return worker;
}

function failBatch(error: unknown): void {
  thread?.unref();
  const batch = running ?? [];
  running = undefined;
  for (const { reject } of batch) reject(error);
  sendBatch();
}
