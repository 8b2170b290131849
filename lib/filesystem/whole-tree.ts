/** A small file tree as a NAR in memory, in one go: `walk.ts` and `encodeNar` are for trees of any size, a step at a time. */

import {
  closeSync,
  constants,
  type Dirent,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { paddedLength } from '../nix/nar/encode.js';
import { checkDepth, checkEntryName, checkSymlinkTarget } from '../nix/nar/event.js';
import { CLOSE, DIRECTORY, ENTRY, EXECUTABLE, MAGIC, NODE, REGULAR, SYMLINK } from '../nix/nar/tokens.js';
import { childPath } from './walk.js';

const OWNER_EXECUTE = 0o100;

type Kind = Pick<Dirent, 'isDirectory' | 'isFile' | 'isSymbolicLink'>;

/**
 * Writes the NAR of the tree at a path into memory, and gives its length; `undefined` where it has no room, or the tree is not one
 * that a NAR can hold, or changes meanwhile: `encodeNar` says what is wrong.
 */
export function readTree(path: string, into: Buffer): number | undefined {
  const writer = createWriter(into);
  const { put, putString } = writer;
  const putNode = (place: Buffer, kind: Kind, depth: number): void => {
    checkDepth(depth);
    if (kind.isFile()) putFile(place, writer);
    else if (kind.isDirectory()) putDirectory(place, depth);
    else if (kind.isSymbolicLink()) {
      put(SYMLINK);
      putString(checkSymlinkTarget(readlinkSync(place, { encoding: 'buffer' })));
    } else throw new TypeError('neither file, directory nor symlink');
    put(CLOSE);
  };
  const putDirectory = (place: Buffer, depth: number): void => {
    put(DIRECTORY);
    for (const entry of entriesOf(place)) {
      put(ENTRY);
      putString(checkEntryName(entry.name));
      put(NODE);
      putNode(childPath(place, entry.name), entry, depth + 1);
      put(CLOSE);
    }
  };
  try {
    put(MAGIC);
    const place = Buffer.from(path);
    putNode(place, lstatSync(place), 0);
    return writer.length();
  } catch {
    return undefined;
  }
}

function putFile(place: Buffer, { put, putContents }: NarWriter): void {
  const file = openSync(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(file);
    if (!stats.isFile()) throw new TypeError('no plain file any more');
    put((stats.mode & OWNER_EXECUTE) === 0 ? REGULAR : EXECUTABLE);
    putContents(file, stats.size);
  } finally {
    closeSync(file);
  }
}

type NarWriter = ReturnType<typeof createWriter>;

/** Writes tokens one after another; throws where there is no more room. */
function createWriter(into: Buffer) {
  let at = 0;
  const put = (token: Uint8Array): void => {
    into.set(token, at);
    at += token.length;
  };
  const putNumber = (number: number): void => {
    into.writeUInt32LE(number, at);
    into.writeUInt32LE(0, at + 4);
    at += 8;
  };
  const requireRoom = (length: number): void => {
    if (at + length > into.length) throw new RangeError('there is no more room');
  };
  const pad = (length: number): void => {
    const zeros = paddedLength(length) - length;
    requireRoom(zeros);
    into.fill(0, at, at + zeros);
    at += zeros;
  };
  return {
    put,
    putString(bytes: Uint8Array): void {
      putNumber(bytes.length);
      put(bytes);
      pad(bytes.length);
    },
    /** The bytes of a file, which are read to their place. */
    putContents(file: number, size: number): void {
      requireRoom(8 + size);
      putNumber(size);
      for (const end = at + size; at < end; ) {
        const read = readSync(file, into, at, end - at, null);
        if (read === 0) throw new RangeError('it became shorter while it was read');
        at += read;
      }
      pad(size);
    },
    length: () => at,
  };
}

/** What is in a directory, in the order of NARs. */
function entriesOf(directory: Buffer): readonly Dirent<Buffer>[] {
  const entries = readdirSync(directory, { encoding: 'buffer', withFileTypes: true });
  return entries.sort((a, b) => Buffer.compare(a.name, b.name));
}
