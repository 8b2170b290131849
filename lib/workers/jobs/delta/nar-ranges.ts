/** Ranges of the NAR of a tree on disk, of which no more is read than is asked for. */

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from 'node:fs';
import { CarportError } from '../../../errors.js';
import { childPath } from '../../../filesystem/walk.js';
import { paddedLength, wireNumber, wireString } from '../../../nix/nar/encode.js';
import { CLOSE, DIRECTORY, ENTRY, EXECUTABLE, MAGIC, NODE, REGULAR, SYMLINK } from '../../../nix/nar/tokens.js';

const OWNER_EXECUTE = 0o100;

/** Who reads a tree from end to end asks for so much: larger pieces are read faster than it is walked, and gain nothing more. */
export const LONG_READ = 1024 * 1024;

/** How often a tree is gone through again from its beginning, because something is wanted that lies before. */
const MOST_RETURNS = 64;

/** A part of a NAR: some of its tokens, or what a file holds. */
type Part = { readonly size: number; readonly step?: TreeStep } & (
  | { readonly bytes: Uint8Array }
  | { readonly file: Buffer }
);

/** What tokens tell of a tree: a directory that begins or ends, a file or a symlink. */
export interface TreeStep {
  readonly type: 'directory' | 'end' | 'file' | 'symlink';
  readonly path: Buffer;
  readonly stats: Stats;
  /** Bytes behind the tokens until its own end. */
  readonly rest: number;
}

export interface NarRanges {
  /** Fills memory with the bytes from an offset on, and gives how many these are. `E_INTEGRITY` where the NAR has fewer, `E_IO` where they cannot be read. */
  read(into: Uint8Array, offset: number): number;
  /** As `read`, of a NAR that may have fewer; gives how many it has. */
  readSome(into: Uint8Array, offset: number): number;
  /** Lets go of the file that is open. */
  close(): void;
}

/**
 * Reads ranges of the NAR of the tree at `root`: best in their order, since the tree is gone through as they are asked for.
 * Links are kept as links, and never followed. Whoever changes the tree meanwhile gets wrong bytes or an error.
 */
export function openNarRanges(root: string): NarRanges {
  let parts = partsOf(root);
  let part: Part | undefined;
  let start = 0;
  let returns = 0;
  const files = createOpenFile(root);

  /** Goes to the part that holds the byte at an offset; `undefined` behind the last one. */
  const seek = (offset: number): Part | undefined => {
    if (offset < start) {
      if (++returns > MOST_RETURNS) throw new CarportError('E_INTEGRITY', `too much of \`${root}\` is out of order`);
      parts = partsOf(root);
      part = undefined;
      start = 0;
    }
    while (part === undefined || offset >= start + part.size) {
      start += part?.size ?? 0;
      const next = parts.next();
      part = next.done ? undefined : next.value;
      if (part === undefined) return undefined;
    }
    return part;
  };
  const copyFrom = (found: Part, at: number, into: Uint8Array): number => {
    const length = Math.min(into.length, found.size - at);
    if ('bytes' in found) {
      into.set(found.bytes.subarray(at, at + length));
      return length;
    }
    const read = readSync(files.descriptorOf(found.file, found.size), into, 0, length, at);
    if (read === 0) throw changed(root);
    return read;
  };
  const readSome = (into: Uint8Array, offset: number): number => {
    let used = 0;
    try {
      while (used < into.length) {
        const found = seek(offset + used);
        if (found === undefined) break;
        used += copyFrom(found, offset + used - start, into.subarray(used));
      }
    } catch (cause) {
      throw unreadableTree(root, cause);
    }
    return used;
  };
  return {
    readSome,
    read(into, offset) {
      const size = readSome(into, offset);
      if (size < into.length) throw changed(root);
      return size;
    },
    close: files.close,
  };
}

/** The file that was read last. */
function createOpenFile(root: string) {
  let open: { readonly path: Buffer; readonly descriptor: number } | undefined;
  const close = (): void => {
    if (open) closeSync(open.descriptor);
    open = undefined;
  };
  return {
    close,
    /** What is not a file of so many bytes is refused. */
    descriptorOf(path: Buffer, size: number): number {
      if (open?.path === path) return open.descriptor;
      close();
      const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      open = { path, descriptor };
      const stats = fstatSync(descriptor);
      if (!stats.isFile() || stats.size !== size) throw changed(root);
      return descriptor;
    },
  };
}

/** What is said of a tree that cannot be read. */
export function unreadableTree(root: string, cause: unknown): CarportError {
  return cause instanceof CarportError ? cause : new CarportError('E_IO', `\`${root}\` cannot be read`, { cause });
}

function changed(root: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${root}\` is not what it was`);
}

/** The parts of the NAR of a tree, which is looked at as they are asked for. */
export function* partsOf(root: string): Generator<Part> {
  yield tokens(MAGIC);
  yield* partsOfNode(Buffer.from(root));
}

function* partsOfNode(path: Buffer): Generator<Part> {
  const stats = lstatSync(path);
  if (stats.isDirectory()) {
    yield { ...tokens(DIRECTORY), step: { type: 'directory', path, stats, rest: 0 } };
    for (const name of readdirSync(path, { encoding: 'buffer' }).sort(Buffer.compare)) {
      yield tokens(ENTRY, wireString(name), NODE);
      yield* partsOfNode(childPath(path, name));
      yield tokens(CLOSE);
    }
    yield { ...tokens(CLOSE), step: { type: 'end', path, stats, rest: 0 } };
  } else if (stats.isFile()) {
    const { size } = stats;
    const header = tokens((stats.mode & OWNER_EXECUTE) !== 0 ? EXECUTABLE : REGULAR, wireNumber(size));
    const close = tokens(new Uint8Array(paddedLength(size) - size), CLOSE);
    yield { ...header, step: { type: 'file', path, stats, rest: size + close.size } };
    if (size > 0) yield { size, file: path };
    yield close;
  } else if (stats.isSymbolicLink()) {
    const link = tokens(SYMLINK, wireString(readlinkSync(path, { encoding: 'buffer' })), CLOSE);
    yield { ...link, step: { type: 'symlink', path, stats, rest: 0 } };
  } else {
    throw new CarportError('E_FORMAT', `\`${path}\` is neither file, directory nor symlink`);
  }
}

function tokens(...all: readonly Uint8Array[]): Part {
  const bytes = Buffer.concat(all);
  return { size: bytes.length, bytes };
}
