/** A file tree's events to the bytes of a NAR. */

import { formatError } from '../../errors.js';
import { checkDepth, checkEntryName, checkEntryOrder, checkSymlinkTarget, NAR_MAGIC, type NarEvent } from './event.js';

/** A string as the wire has it: length in 8 bytes, little endian, the bytes, zeros up to a multiple of 8. */
export function wireString(bytes: Uint8Array): Buffer {
  const wire = Buffer.alloc(8 + paddedLength(bytes.length));
  wire.writeUInt32LE(bytes.length, 0);
  wire.set(bytes, 8);
  return wire;
}

/** Strings as the wire has them, one after another. */
export function wireTokens(...tokens: readonly string[]): Buffer {
  return Buffer.concat(tokens.map((token) => wireString(Buffer.from(token))));
}

const MAGIC = wireTokens(NAR_MAGIC);
const DIRECTORY = wireTokens('(', 'type', 'directory');
const ENTRY_OPEN = wireTokens('entry', '(', 'name');
const NODE = wireTokens('node');
const REGULAR = wireTokens('(', 'type', 'regular');
const EXECUTABLE = wireTokens('executable', '');
const CONTENTS = wireTokens('contents');
const SYMLINK = wireTokens('(', 'type', 'symlink', 'target');
const CLOSE = wireTokens(')');
const ZEROS = Buffer.alloc(8);

type RegularEvent = Extract<NarEvent, { type: 'regular' }>;

/** Small tokens are gathered into pieces of this size, so that hashing and writing see few of them. */
const PIECE_SIZE = 16 * 1024;

/** `length` rounded up to a multiple of 8. */
export function paddedLength(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/** Bytes of a NAR before its root node. */
export const MAGIC_LENGTH = MAGIC.length;

/** Bytes between the start of a file's node and its contents. */
export function regularHeaderLength({ executable, withoutContents }: RegularEvent): number {
  return REGULAR.length + (executable ? EXECUTABLE.length : 0) + (withoutContents ? 0 : CONTENTS.length + 8);
}

/** Bytes that an event takes in a NAR; a file's contents and padding are counted with its `regular`. */
export function wireLength(event: NarEvent): number {
  switch (event.type) {
    case 'directory':
      return DIRECTORY.length;
    case 'entry':
      return ENTRY_OPEN.length + 8 + paddedLength(event.name.length) + NODE.length;
    case 'regular':
      return regularHeaderLength(event) + paddedLength(event.size);
    case 'symlink':
      return SYMLINK.length + 8 + paddedLength(event.target.length) + 2 * CLOSE.length;
    case 'contents':
      return 0;
    case 'end':
      return 2 * CLOSE.length;
  }
}

/**
 * The NAR of a tree, in pieces. A piece is valid until the next one is asked for. The events are checked: what no NAR
 * may hold (order, names, depth, sizes) throws, so that whatever this writes Nix accepts.
 */
export function* encodeNar(events: Iterable<NarEvent>): Generator<Uint8Array> {
  const piece = Buffer.allocUnsafe(PIECE_SIZE);
  let used = MAGIC.copy(piece);
  for (const tokens of encodeEvents(events)) {
    if (used + tokens.length > PIECE_SIZE) {
      if (used > 0) yield piece.subarray(0, used);
      used = 0;
    }
    if (tokens.length > PIECE_SIZE / 2) {
      if (used > 0) yield piece.subarray(0, used);
      used = 0;
      yield tokens;
    } else {
      piece.set(tokens, used);
      used += tokens.length;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

/** An open node: a directory, with the name of its last entry, or a file with the bytes that it still lacks. */
type OpenNode =
  | { readonly type: 'directory'; last: Uint8Array | undefined; awaitsNode: boolean }
  | { readonly type: 'regular'; readonly size: number; missing: number };

function* encodeEvents(events: Iterable<NarEvent>): Generator<Uint8Array> {
  const open: OpenNode[] = [];
  let done = false;
  for (const event of events) {
    if (done) throw formatError('NAR', 'has more than one root');
    const parent = open.at(-1);
    switch (event.type) {
      case 'directory':
        beginNode(parent, open.length);
        open.push({ type: 'directory', last: undefined, awaitsNode: false });
        yield DIRECTORY;
        break;
      case 'regular':
        beginNode(parent, open.length);
        open.push({ type: 'regular', size: event.size, missing: event.size });
        yield REGULAR;
        if (event.executable) yield EXECUTABLE;
        if (event.withoutContents && event.size === 0) break;
        yield CONTENTS;
        yield wireNumber(event.size);
        break;
      case 'symlink':
        beginNode(parent, open.length);
        yield SYMLINK;
        yield wireString(checkSymlinkTarget(event.target));
        yield CLOSE;
        if (parent) yield CLOSE;
        else done = true;
        break;
      case 'entry':
        if (parent?.type !== 'directory' || parent.awaitsNode) throw formatError('NAR', 'an entry is out of place');
        checkEntryOrder(parent.last, checkEntryName(event.name));
        parent.last = event.name;
        parent.awaitsNode = true;
        yield ENTRY_OPEN;
        yield wireString(event.name);
        yield NODE;
        break;
      case 'contents':
        if (parent?.type !== 'regular') throw formatError('NAR', 'contents are out of place');
        parent.missing -= event.bytes.length;
        if (parent.missing < 0) throw formatError('NAR', 'a file has more bytes than its size');
        yield event.bytes;
        break;
      case 'end': {
        const node = endNode(open.pop());
        if (node.type === 'regular') yield ZEROS.subarray(0, paddedLength(node.size) - node.size);
        yield CLOSE;
        if (open.length > 0) yield CLOSE;
        else done = true;
        break;
      }
    }
  }
  if (!done) throw formatError('NAR', 'ends in the middle of a node');
}

function beginNode(parent: OpenNode | undefined, depth: number): void {
  checkDepth(depth);
  if (parent === undefined) return;
  if (parent.type !== 'directory' || !parent.awaitsNode) throw formatError('NAR', 'a node has no entry');
  parent.awaitsNode = false;
}

/** Checks that a node may end. */
function endNode(node: OpenNode | undefined): OpenNode {
  if (node === undefined || (node.type === 'directory' && node.awaitsNode)) {
    throw formatError('NAR', 'a node ends out of place');
  }
  if (node.type === 'regular' && node.missing > 0) throw formatError('NAR', 'a file has fewer bytes than its size');
  return node;
}

/** A number as the wire has it: 8 bytes, little endian. */
export function wireNumber(size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(size));
  return bytes;
}
