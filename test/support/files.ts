import { execFileSync } from 'node:child_process';
import { createCipheriv, createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { latin1, type Tree } from './nar.js';

/** Makes a directory for each test of the suite, and removes it afterwards, read-only trees too. Gives its path. */
export function useDirectory(): () => string {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'carport-test-'));
  });
  afterEach(() => removeAll(directory));
  return () => directory;
}

/** Removes a tree whatever the modes of its directories are. */
export function removeAll(path: string): void {
  makeWritable(Buffer.from(path));
  rmSync(path, { recursive: true, force: true });
}

function makeWritable(path: Buffer): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return;
  chmodSync(path, 0o700);
  for (const name of readdirSync(path, { encoding: 'buffer' })) makeWritable(inside(path, name));
}

/** Writes a tree of memory to disk; names and targets are bytes. */
export function writeTree(path: string | Buffer, tree: Tree): void {
  const bytes = Buffer.from(path as string);
  if (tree.type === 'symlink') symlinkSync(latin1(tree.target), bytes);
  else if (tree.type === 'regular') {
    writeFileSync(bytes, tree.contents, { flag: 'wx' });
    chmodSync(bytes, tree.executable ? 0o755 : 0o644);
  } else {
    mkdirSync(bytes);
    for (const [name, child] of tree.entries) writeTree(inside(bytes, latin1(name)), child);
  }
}

export const fileOf = (contents: string | Uint8Array, executable = false): Tree => ({
  type: 'regular',
  executable,
  contents: typeof contents === 'string' ? latin1(contents) : contents,
});

export const linkTo = (target: string): Tree => ({ type: 'symlink', target });

export const directoryOf = (entries: Readonly<Record<string, Tree>>): Tree => ({
  type: 'directory',
  entries: new Map(Object.entries(entries)),
});

/** Bytes that no compressor shrinks, the same for the same seed. */
export function noise(size: number, seed = ''): Buffer {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

/** All bytes of a stream; pieces are copied, as each may be valid until the next only. */
export async function gather(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

/** A stream of bytes, in pieces of a size. */
export async function* stream(bytes: Uint8Array, pieceSize = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceSize) yield bytes.subarray(at, at + pieceSize);
}

/** Pieces in memory that threads share, and that is used again. */
export async function* inSameMemory(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const memory = Buffer.from(new SharedArrayBuffer(512 * 1024));
  for (let rest = bytes; rest.length > 0; rest = rest.subarray(memory.length)) {
    const part = rest.subarray(0, memory.length);
    memory.set(part);
    yield memory.subarray(0, part.length);
    memory.fill(0x55);
  }
}

function inside(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}

const NOBODY = 65534;

/** Runs as a user whom permissions hold back, when the tests are root's; `directory` and what is in it become theirs. */
export async function asOrdinaryUser<T>(directory: string, action: () => Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return action();
  execFileSync('chown', ['-hR', String(NOBODY), directory]);
  process.seteuid!(NOBODY);
  try {
    return await action();
  } finally {
    process.seteuid!(0);
  }
}
