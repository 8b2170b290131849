/** One stream for many readers: who comes before it has gone too far reads along, and nobody is held up for long by another. */

import type { NarPiece, NarProgress } from './whole-nar.js';

export interface BroadcastOptions {
  /** The stream; it is read a window ahead of the slowest reader. Aborted when nobody reads it any more. */
  open(signal: AbortSignal): AsyncIterable<NarPiece>;
  /** What a reader goes on with that is so slow that others would have to wait for it. */
  alone(progress: NarProgress, signal: AbortSignal): AsyncIterable<NarPiece>;
  /** Bytes that are kept. */
  readonly window: number;
  /** Milliseconds that others wait for a slow reader. */
  readonly patienceMs: number;
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

export function createBroadcast(options: BroadcastOptions): Broadcast {
  const { window, patienceMs, beginning } = options;
  const stop = new AbortController();
  const pieces: NarPiece[] = [];
  const readers = new Set<Reader>();
  let [first, size] = [0, 0];
  let ended: { readonly error?: unknown } | undefined;
  let isClosed = false;
  let wakePump = () => {};

  const close = (): void => {
    if (!isClosed) options.onClosed();
    isClosed = true;
  };
  const slowest = () => Math.min(...[...readers].map(({ index }) => index), first + pieces.length);
  const lag = () => pieces.slice(slowest() - first).reduce((sum, { bytes }) => sum + bytes.length, 0);
  const drop = (): void => {
    while (size > window && first < slowest()) {
      size -= pieces.shift()!.bytes.length;
      first++;
      close();
    }
  };
  /** Waits until the slowest reader has come near, or is left to itself. */
  const room = async (): Promise<void> => {
    for (drop(); lag() >= window && !stop.signal.aborted; drop()) {
      const moved = await wakeOrTimeout((wake) => {
        wakePump = wake;
      }, patienceMs);
      const head = first + pieces.length;
      const isWaitedFor = [...readers].some(({ index }) => index === head);
      if (moved || !isWaitedFor) continue;
      for (const reader of readers) {
        if (reader.index !== slowest()) continue;
        readers.delete(reader);
        reader.isLeft = true;
        reader.wake();
      }
    }
  };
  const pump = async (): Promise<boolean> => {
    try {
      for await (const piece of options.open(stop.signal)) {
        pieces.push(piece);
        size += piece.bytes.length;
        for (const reader of readers) reader.wake();
        await room();
      }
      ended = {};
    } catch (error) {
      ended = { error };
      close();
    }
    for (const reader of readers) reader.wake();
    return !isClosed;
  };
  const leave = (reader: Reader): void => {
    readers.delete(reader);
    wakePump();
    if (readers.size > 0 || ended) return;
    close();
    stop.abort();
  };

  async function* readAs(reader: Reader, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let progress = beginning;
    try {
      while (!reader.isLeft) {
        signal.throwIfAborted();
        const piece = pieces[reader.index - first];
        if (piece) {
          yield piece.bytes;
          progress = piece.after;
          reader.index++;
          wakePump();
        } else if (ended && 'error' in ended) throw ended.error;
        else if (ended) return;
        else {
          await new Promise<void>((resolve) => {
            reader.wake = resolve;
          });
        }
      }
    } finally {
      leave(reader);
    }
    for await (const { bytes } of options.alone(progress, signal)) yield bytes;
  }
  const read = (signal: AbortSignal): AsyncGenerator<Uint8Array> => {
    const reader: Reader = { index: 0, wake: () => {}, isLeft: false };
    readers.add(reader);
    // Whoever is gone may have begun to read, or not.
    signal.addEventListener(
      'abort',
      () => {
        leave(reader);
        reader.wake();
      },
      { once: true },
    );
    return readAs(reader, signal);
  };
  return { read, isOpen: () => !isClosed, kept: pump() };
}

/** True when it was woken, false when the time was over. */
async function wakeOrTimeout(onWake: (wake: () => void) => void, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), milliseconds);
    onWake(() => {
      clearTimeout(timer);
      resolve(true);
    });
  });
}
