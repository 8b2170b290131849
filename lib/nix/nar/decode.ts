/** Bytes to events, of an untrusted source. */

import { formatError } from '../../errors.js';
import { paddedLength } from './encode.js';
import {
  checkDepth,
  checkEntryName,
  checkEntryOrder,
  checkSymlinkTarget,
  NAR_LIMITS,
  NAR_MAGIC,
  type NarEvent,
} from './event.js';

/** Longest token of the grammar itself, such as `executable` (Nix allows 32 bytes). */
const MAX_TAG = 32;

/** A NAR taken in pieces, as they arrive. */
export interface NarDecoder {
  /** The events that these bytes complete, to be consumed before the next call. The bytes are free after that. */
  push(bytes: Uint8Array): Iterable<NarEvent>;
  /** Throws unless the NAR is complete. */
  end(): void;
  /** With `mayGoOn`: how many bytes of the last `push` come after the NAR's end; `undefined` until it is reached. */
  bytesAfterEnd(): number | undefined;
}

export interface NarDecoderOptions {
  /** The NAR is a part of a longer stream: bytes after its end are the caller's. */
  readonly mayGoOn?: boolean;
}

/**
 * Reads a NAR of an untrusted source (libutil/archive.cc): strict field order, zero padding, sorted names, Nix's
 * newest limits, and no bytes after the end. Nothing is allocated for a length before its bytes have arrived.
 */
export function createNarDecoder({ mayGoOn = false }: NarDecoderOptions = {}): NarDecoder {
  const input = createInput();
  const grammar = readArchive(input);
  let done = false;
  return {
    *push(bytes) {
      input.give(bytes);
      while (!done) {
        const step = grammar.next();
        if (step.done) done = true;
        else if (step.value === NEED_MORE) return input.keep();
        else yield step.value;
      }
      if (input.available() > 0 && !mayGoOn) throw formatError('NAR', 'has bytes after its end');
    },
    end() {
      if (!done) throw formatError('NAR', 'is truncated');
    },
    bytesAfterEnd: () => (done ? input.available() : undefined),
  };
}

/** The events of a NAR that arrives as a stream. */
export async function* decodeNar(source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<NarEvent> {
  const decoder = createNarDecoder();
  for await (const bytes of source) yield* decoder.push(bytes);
  decoder.end();
}

const NEED_MORE = Symbol('need more bytes');
type Step<T = void> = Generator<NarEvent | typeof NEED_MORE, T, void>;
type Input = ReturnType<typeof createInput>;

function* readArchive(input: Input): Step {
  yield* expect(input, NAR_MAGIC);
  yield* readNode(input, 0);
}

function* readNode(input: Input, depth: number): Step {
  checkDepth(depth);
  yield* expect(input, '(');
  yield* expect(input, 'type');
  const type = yield* readTag(input);
  if (type === 'directory') yield* readDirectory(input, depth);
  else if (type === 'regular') yield* readRegular(input);
  else if (type === 'symlink') yield* readSymlink(input);
  else throw formatError('NAR', `\`${type}\` is not a type of file`);
}

function* readDirectory(input: Input, depth: number): Step {
  yield { type: 'directory' };
  let previous: Uint8Array | undefined;
  for (;;) {
    const tag = yield* readTag(input);
    if (tag === ')') break;
    if (tag !== 'entry') throw unexpected(tag, 'entry');
    yield* expect(input, '(');
    yield* expect(input, 'name');
    const name = checkEntryName(yield* readString(input, NAR_LIMITS.name, 'an entry name'));
    checkEntryOrder(previous, name);
    previous = name;
    yield { type: 'entry', name };
    yield* expect(input, 'node');
    yield* readNode(input, depth + 1);
    yield* expect(input, ')');
  }
  yield { type: 'end' };
}

function* readRegular(input: Input): Step {
  let tag = yield* readTag(input);
  const executable = tag === 'executable';
  if (executable) {
    yield* expect(input, '');
    tag = yield* readTag(input);
  }
  if (tag === ')') {
    yield { type: 'regular', executable, size: 0, withoutContents: true };
    yield { type: 'end' };
    return;
  }
  if (tag !== 'contents') throw unexpected(tag, 'contents');
  const size = yield* readLength(input);
  yield { type: 'regular', executable, size };
  for (let missing = size; missing > 0; ) {
    if (input.available() === 0) yield NEED_MORE;
    const bytes = input.takeUpTo(missing);
    missing -= bytes.length;
    if (bytes.length > 0) yield { type: 'contents', bytes };
  }
  yield* readPadding(input, size);
  yield* expect(input, ')');
  yield { type: 'end' };
}

function* readSymlink(input: Input): Step {
  yield* expect(input, 'target');
  const target = checkSymlinkTarget(yield* readString(input, NAR_LIMITS.target, 'a symlink target'));
  yield* expect(input, ')');
  yield { type: 'symlink', target };
}

function* expect(input: Input, wanted: string): Step {
  const tag = yield* readTag(input);
  if (tag !== wanted) throw unexpected(tag, wanted);
}

function* readTag(input: Input): Step<string> {
  const bytes = yield* readString(input, MAX_TAG, 'a tag');
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** A string of its own memory; `limit` is checked before a byte of it is read. */
function* readString(input: Input, limit: number, what: string): Step<Uint8Array> {
  const length = yield* readLength(input);
  if (length > limit) throw formatError('NAR', `${what} has ${length} bytes, over ${limit}`);
  while (input.available() < length) yield NEED_MORE;
  const bytes = Uint8Array.from(input.takeUpTo(length));
  yield* readPadding(input, length);
  return bytes;
}

function* readLength(input: Input): Step<number> {
  while (input.available() < 8) yield NEED_MORE;
  const bytes = input.takeUpTo(8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const length = view.getUint32(4, true) * 2 ** 32 + view.getUint32(0, true);
  if (!Number.isSafeInteger(length)) throw formatError('NAR', 'a length is larger than any file');
  return length;
}

function* readPadding(input: Input, length: number): Step {
  const size = paddedLength(length) - length;
  while (input.available() < size) yield NEED_MORE;
  for (const byte of input.takeUpTo(size)) {
    if (byte !== 0) throw formatError('NAR', 'has non-zero padding');
  }
}

function unexpected(tag: string, wanted: string): Error {
  return formatError('NAR', `expected \`${wanted}\`, found \`${tag.replace(/[^\x20-\x7e]/g, '?')}\``);
}

/** The bytes that were given and not yet taken. What is left of one piece is small: a token that is not complete. */
function createInput() {
  let bytes: Uint8Array = new Uint8Array();
  let position = 0;
  return {
    available: () => bytes.length - position,
    give(more: Uint8Array) {
      bytes = position === bytes.length ? more : Buffer.concat([bytes.subarray(position), more]);
      position = 0;
    },
    /** Copies what is left: the caller may use its memory again. */
    keep() {
      bytes = Uint8Array.from(bytes.subarray(position));
      position = 0;
    },
    takeUpTo(size: number): Uint8Array {
      const taken = bytes.subarray(position, position + size);
      position += taken.length;
      return taken;
    },
  };
}
