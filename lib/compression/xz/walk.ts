/**
 * Walks over an untrusted xz file as it comes, from header to header, and stops at what the library does not read: the program reads more,
 * and what can be read is not to depend on what is installed. Whether anything is damaged is left to the program.
 */

/** What the library says of a file that it does not read: `XZ_MEMLIMIT_ERROR` and `XZ_OPTIONS_ERROR` of XZ Embedded. */
export type Refusal = 'error code 4' | 'error code 6';

export interface XzWalk {
  /** Goes on over a piece; gives how much of it the program may see. */
  take(piece: Uint8Array): number;
  /** Why it has stopped, if it has; of a file that is not xz nothing is known. */
  state(): 'walking' | 'lost' | Refusal;
  /** Bytes that the program makes of what it may see, at least. */
  made(): number;
}

/** Bytes of checks: none, CRC32 and CRC64. */
const CHECK_SIZES: Readonly<Record<number, number>> = { 0: 0, 1: 4, 4: 8 };
const LZMA2 = 0x21;
/** Of a dictionary of 64 MiB, and the last that means one. */
const LARGEST_DICTIONARY = 28;
const LAST_DICTIONARY = 39;

/** Asks for so many bytes, at most those of a block's header, or steps over as many as it is below zero. */
type Steps<T> = Generator<number, T, Uint8Array>;

/** Begins at the start of a file. */
export function createXzWalk(): XzWalk {
  const count = { made: 0 };
  const steps = walkStreams(count);
  const held = new Uint8Array(1024);
  let size = 0;
  let state: ReturnType<XzWalk['state']> = 'walking';
  let wanted = 0;
  const step = (): void => {
    const { value, done } = steps.next(held.subarray(0, size));
    size = 0;
    if (done) state = value;
    else wanted = value;
  };
  step();
  return {
    take(piece) {
      let at = 0;
      while (state === 'walking' && at < piece.length) {
        const taken = Math.min(piece.length - at, wanted < 0 ? -wanted : wanted - size);
        if (wanted < 0) wanted += taken;
        else held.set(piece.subarray(at, at + taken), size);
        if (wanted > 0) size += taken;
        at += taken;
        if (wanted === size) step();
      }
      return state === 'walking' || state === 'lost' ? piece.length : at;
    },
    state: () => state,
    made: () => count.made,
  };
}

/** The file format, 2: streams, with zeros between them. */
function* walkStreams(count: { made: number }): Steps<'lost' | Refusal> {
  for (;;) {
    let start = yield 4;
    while (start.every((byte) => byte === 0)) start = yield 4;
    if (start[0] !== 0xfd) return 'lost';
    const [, , reserved, check] = yield 8;
    const checkSize = CHECK_SIZES[check!];
    if (reserved !== 0 || checkSize === undefined) return 'error code 6';
    for (let [length] = yield 1; length !== 0; [length] = yield 1) {
      const refusal = refusalOf(yield length! * 4 + 3);
      if (refusal) return refusal;
      const compressed = yield* walkChunks(count);
      if (compressed === undefined) return 'lost';
      const rest = (-compressed & 3) + checkSize;
      if (rest > 0) yield -rest;
    }
    yield* walkIndex();
    yield -12;
  }
}

/** 3.1: a block's header, but for its first byte. */
function refusalOf(header: Uint8Array): Refusal | undefined {
  const flags = header[0]!;
  // Reserved bits, and more than one filter.
  if ((flags & 0x3f) !== 0) return 'error code 6';
  let at = 1;
  for (let sizes = (flags >> 6) & 1 ? 1 + (flags >> 7) : flags >> 7; sizes > 0; sizes--) {
    while ((header[at]! & 0x80) !== 0) at++;
    at++;
  }
  const dictionary = header[at + 2]!;
  if (header[at] !== LZMA2 || header[at + 1] !== 1 || dictionary > LAST_DICTIONARY) return 'error code 6';
  return dictionary > LARGEST_DICTIONARY ? 'error code 4' : undefined;
}

/** 5.3.1: chunks of LZMA2. Gives how many bytes they have together. */
function* walkChunks(count: { made: number }): Steps<number | undefined> {
  for (let length = 1; ; ) {
    const [control] = yield 1;
    if (control === 0) return length;
    if (control! > 2 && control! < 0x80) return undefined;
    const [first, second] = yield 2;
    let [made, size] = [first! * 256 + second! + 1, first! * 256 + second! + 1];
    length += 3;
    if (control! >= 0x80) {
      made += (control! & 0x1f) << 16;
      const [high, low] = yield 2;
      size = high! * 256 + low! + 1 + (control! >= 0xc0 ? 1 : 0);
      length += 2;
    }
    yield -size;
    length += size;
    count.made += made;
  }
}

/** 4: the index, but for its first byte. */
function* walkIndex(): Steps<void> {
  let length = 1;
  function* readNumber(): Steps<number> {
    let [value, factor] = [0, 1];
    for (;;) {
      const [byte] = yield 1;
      length++;
      value += (byte! & 0x7f) * factor;
      factor *= 128;
      if ((byte! & 0x80) === 0) return value;
    }
  }
  for (let numbers = 2 * (yield* readNumber()); numbers > 0; numbers--) yield* readNumber();
  yield -((-length & 3) + 4);
}
