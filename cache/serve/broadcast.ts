/** One stream for many readers: who comes before it has gone too far reads along, and nobody is held up for long by another. */

import type { NarPiece, NarProgress } from '../../lib/workers/jobs.js';

export interface BroadcastOptions {
  /** The stream; it is read a window ahead of the slowest reader. Aborted when nobody reads it any more. */
  open(signal: AbortSignal): AsyncIterable<NarPiece>;
  /** What a reader goes on with, as soon as it reads on, that is so slow that others would have to wait for it. */
  alone(progress: NarProgress, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Bytes that are kept. */
  readonly window: number;
  /** Milliseconds that others wait for a slow reader. */
  readonly patienceMs: number;
  /** Whether somebody waits who reads other streams. */
  isInTheWay(): boolean;
  /** Nobody can begin to read it any more. */
  onClosed(): void;
  readonly beginning: NarProgress;
}

export interface Broadcast {
  /** Reads from the first byte, until `signal` is aborted. Called when `isOpen` only. */
  read(signal: AbortSignal): AsyncGenerator<Uint8Array>;
  /** Whether its first byte is still there. */
  isOpen(): boolean;
  /** Settles when the stream has ended: whether it was whole, and all of it is still there. */
  readonly kept: Promise<boolean>;
}

interface Reader {
  /** The piece that it wants next, counted from the first of the stream. */
  index: number;
  wake: () => void;
  isLeft: boolean;
}

interface State extends BroadcastOptions {
  readonly pieces: Pieces;
  readonly readers: Set<Reader>;
  readonly stop: AbortController;
  ended: { readonly error?: unknown } | undefined;
  isClosed: boolean;
  wakePump: () => void;
}

export function createBroadcast(options: BroadcastOptions): Broadcast {
  const state: State = {
    ...options,
    pieces: createPieces(),
    readers: new Set(),
    stop: new AbortController(),
    ended: undefined,
    isClosed: false,
    wakePump: () => {},
  };
  return {
    read: (signal) => addReader(state, signal),
    isOpen: () => !state.isClosed,
    kept: pump(state),
  };
}

function close(state: State): void {
  if (!state.isClosed) state.onClosed();
  state.isClosed = true;
}

/** Reads the stream for all. True when nothing is wrong with it, and it can still be read from its first byte. */
async function pump(state: State): Promise<boolean> {
  const { pieces, readers, stop } = state;
  try {
    for await (const piece of state.open(stop.signal)) {
      pieces.add(piece);
      for (const { wake } of readers) wake();
      await room(state);
    }
    state.ended = {};
  } catch (error) {
    state.ended = { error };
    close(state);
  }
  for (const { wake } of readers) wake();
  return !state.isClosed;
}

/** Waits until the slowest reader has come near, or is left to itself. */
async function room(state: State): Promise<void> {
  const { pieces, readers, window, patienceMs, stop } = state;
  const slowest = () => Math.min(pieces.end(), ...[...readers].map(({ index }) => index));
  for (;;) {
    while (pieces.size() > window && pieces.begin() < slowest()) {
      pieces.dropFirst();
      close(state);
    }
    if (pieces.sizeFrom(slowest()) < window || stop.signal.aborted) return;
    const hasMoved = await wakeOrTimeout((wake) => {
      state.wakePump = wake;
    }, patienceMs);
    const isWaitedFor = [...readers].some(({ index }) => index === pieces.end());
    if (hasMoved || !(isWaitedFor || state.isInTheWay())) continue;
    const last = slowest();
    for (const reader of [...readers].filter(({ index }) => index === last)) {
      reader.isLeft = true;
      leave(state, reader);
      reader.wake();
    }
  }
}

function addReader(state: State, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader: Reader = { index: 0, wake: () => {}, isLeft: false };
  state.readers.add(reader);
  // Whoever is gone may have begun to read, or not.
  const onAbort = () => {
    leave(state, reader);
    reader.wake();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  return readAs(reader, state, signal);
}

async function* readAs(reader: Reader, state: State, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { pieces, beginning, alone } = state;
  let progress = beginning;
  try {
    while (!reader.isLeft) {
      signal.throwIfAborted();
      const piece = pieces.at(reader.index);
      if (piece) {
        yield piece.bytes;
        progress = piece.after;
        reader.index++;
        state.wakePump();
      } else if (state.ended === undefined) {
        await new Promise<void>((resolve) => {
          reader.wake = resolve;
        });
      } else if ('error' in state.ended) throw state.ended.error;
      else return;
    }
  } finally {
    leave(state, reader);
  }
  yield* alone(progress, signal);
}

function leave(state: State, reader: Reader): void {
  state.readers.delete(reader);
  state.wakePump();
  if (state.readers.size > 0 || state.ended) return;
  close(state);
  state.pieces.clear();
  state.stop.abort();
}

type Pieces = ReturnType<typeof createPieces>;

/** The last pieces of a stream, by their places in it. */
function createPieces() {
  const kept: NarPiece[] = [];
  let first = 0;
  const sizeOf = (pieces: readonly NarPiece[]) => pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return {
    add: (piece: NarPiece) => void kept.push(piece),
    at: (index: number): NarPiece | undefined => kept[index - first],
    begin: () => first,
    end: () => first + kept.length,
    size: () => sizeOf(kept),
    sizeFrom: (index: number) => sizeOf(kept.slice(index - first)),
    clear(): void {
      first += kept.splice(0).length;
    },
    dropFirst(): void {
      kept.shift();
      first++;
    },
  };
}

/** True when it was woken, false when the time was over. */
async function wakeOrTimeout(onWake: (wake: () => void) => void, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), milliseconds).unref();
    onWake(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
