/** Sends the bytes of a source to a worker, which says when it wants more. */

import type { Worker } from 'node:worker_threads';
import { ownMemory } from '../buffers.js';
import { PIECE_SIZE, SOURCE_WINDOW, type ToWorker } from './protocol.js';

/** Sends a source to a worker. */
export interface Pump {
  /** The worker has taken a piece. */
  taken(): void;
  stop(): void;
  /** Why the source failed, if it did. */
  error(): unknown;
}

/** Begins to send a source for the job `id`. */
export function startPump(source: AsyncIterable<Uint8Array>, id: number, worker: Worker): Pump {
  const post = (message: ToWorker, buffers: ArrayBuffer[] = []) => worker.postMessage(message, buffers);
  let room = SOURCE_WINDOW;
  let stopped = false;
  let wake: (() => void) | undefined;
  let failure: unknown;
  const sendPiece = async (bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    if (room === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (stopped) return;
    room--;
    post({ type: 'bytes', id, bytes }, [bytes.buffer]);
  };
  const send = async () => {
    const gathered = createGathering();
    try {
      for await (const piece of source) {
        for (const bytes of gathered.add(piece)) await sendPiece(bytes);
        if (stopped) return;
      }
      for (const bytes of gathered.end()) await sendPiece(bytes);
      if (!stopped) post({ type: 'end', id });
    } catch (error) {
      failure = error;
      if (!stopped) post({ type: 'source-failed', id });
    }
  };
  void send();
  return {
    taken() {
      room++;
      wake?.();
    },
    stop() {
      stopped = true;
      wake?.();
    },
    error: () => failure,
  };
}

/** Makes few pieces of many, in memory of their own. The bytes that are added are free when the next ones are asked for. */
function createGathering() {
  let held: Uint8Array<ArrayBuffer> | undefined;
  let used = 0;
  function* end(): Generator<Uint8Array<ArrayBuffer>> {
    if (held) yield held.subarray(0, used);
    held = undefined;
    used = 0;
  }
  return {
    *add(piece: Uint8Array): Generator<Uint8Array<ArrayBuffer>> {
      if (used + piece.length > PIECE_SIZE) yield* end();
      if (held === undefined && piece.length > PIECE_SIZE / 2) {
        yield ownMemory(piece);
        return;
      }
      held ??= new Uint8Array(Buffer.allocUnsafeSlow(PIECE_SIZE).buffer);
      held.set(piece, used);
      used += piece.length;
    },
    end,
  };
}
