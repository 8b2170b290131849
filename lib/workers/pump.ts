/** Sends the bytes of a source to a worker, which says when it wants more. */

import type { Worker } from 'node:worker_threads';
import { ownMemory } from '../buffers.js';
import { SOURCE_WINDOW, type ToWorker } from './protocol.js';

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
  const send = async () => {
    try {
      for await (const piece of source) {
        if (room === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        if (stopped) return;
        room--;
        const bytes = ownMemory(piece);
        post({ type: 'bytes', id, bytes }, [bytes.buffer]);
      }
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
