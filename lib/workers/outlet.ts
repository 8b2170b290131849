/** What a job gives piece by piece: both ends of it. Only as much is under way as somebody has room for. */

import type { NarPiece } from './jobs.js';
import { OUTPUT_WINDOW } from './protocol.js';

/** The end of the caller. */
export interface Outlet {
  /** A piece has come; `more` is called when it was used. */
  take(piece: NarPiece, more: () => void): void;
  /** Tells the thread when nobody wants more; at once where that is so already. */
  onStop(tell: () => void): void;
}

/** An outlet whose pieces are read once. */
export interface ReadableOutlet extends Outlet {
  /** All that comes until `end` or `fail` is called. Whoever reads no further stops the job. */
  pieces(): AsyncGenerator<NarPiece>;
  end(): void;
  fail(error: unknown): void;
  /** Nobody wants more, also while the next piece is waited for: reading throws this. */
  stop(reason: unknown): void;
}

export function createOutlet(): ReadableOutlet {
  const waiting: { readonly piece: NarPiece; readonly more: () => void }[] = [];
  let ended: { readonly error?: unknown } | undefined;
  let stopped = false;
  let wake = () => {};
  let tellThread: (() => void) | undefined;
  const finish = (how: { readonly error?: unknown }): void => {
    ended ??= how;
    wake();
  };
  const stop = (reason: unknown): void => {
    const isRunning = ended === undefined;
    stopped = true;
    finish({ error: reason });
    if (isRunning) tellThread?.();
  };
  return {
    take(piece, more) {
      waiting.push({ piece, more });
      wake();
    },
    onStop(tell) {
      tellThread = tell;
      if (stopped) tell();
    },
    end: () => finish({}),
    fail: (error) => finish({ error }),
    stop,
    async *pieces() {
      try {
        for (;;) {
          const next = waiting.shift();
          if (next) {
            yield next.piece;
            next.more();
          } else if (ended === undefined) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          } else if ('error' in ended) throw ended.error;
          else return;
        }
      } finally {
        stop(new Error('nobody wants what the job gives'));
      }
    },
  };
}

/** The end of the job. */
export interface Output {
  /** Gives a piece as soon as there is room; throws when nobody wants it. */
  give(piece: NarPiece): Promise<void>;
  more(): void;
  stop(): void;
}

export function createOutput(send: (piece: NarPiece) => void): Output {
  let room = OUTPUT_WINDOW;
  let stopped = false;
  let wake = () => {};
  return {
    async give(piece) {
      while (room === 0 && !stopped) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (stopped) throw new Error('nobody wants what the job gives');
      room--;
      send(piece);
    },
    more() {
      room++;
      wake();
    },
    stop() {
      stopped = true;
      wake();
    },
  };
}
