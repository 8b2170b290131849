/** Gives the bytes of a source to a worker, in memory that both share; the worker says when it is done with a piece. */

import type { Worker } from 'node:worker_threads';
import { copyBytes, type Pieces, piecesIn } from '../buffers.js';
import { PIECE_SIZE, SOURCE_WINDOW, type ToWorker } from './protocol.js';

/** Gives a source to a worker. */
export interface Pump {
  /** The worker is done with the oldest piece. */
  taken(): void;
  /** The job has ended. */
  stop(): void;
  /** Why the source failed, if it did. */
  error(): unknown;
}

/** Memory of sources that have ended: what is new is filled with zeros first, which takes as long as a copy. */
const free: SharedArrayBuffer[] = [];
const KEPT = 2;

/** Begins to give a source to the job `id`. */
export function startPump(source: Pieces, id: number, worker: Worker): Pump {
  const post = (message: ToWorker) => worker.postMessage(message);
  const memory = free.pop() ?? new SharedArrayBuffer(SOURCE_WINDOW * PIECE_SIZE);
  let stopped = false;
  let hasEnded = false;
  let failure: unknown;
  const slots = createSlots(memory, (offset, size) => {
    if (!stopped) post({ type: 'piece', id, offset, size });
  });
  const send = async () => {
    post({ type: 'source', id, memory });
    try {
      for await (const piece of piecesIn(source, slots.room)) {
        if (piece.buffer === memory) slots.fill(piece);
        else await slots.gather(piece);
        // Where the next piece may lie, there is to be nothing.
        if (source.into) slots.flush();
        if (stopped) return;
      }
      slots.flush();
      if (!stopped) post({ type: 'end', id });
    } catch (error) {
      failure = error;
      if (!stopped) post({ type: 'source-failed', id });
    }
  };
  const end = (): void => {
    // Nobody writes to the memory any more, nor reads it.
    if (stopped && hasEnded && free.length < KEPT) free.push(memory);
  };
  void send().finally(() => {
    hasEnded = true;
    end();
  });
  return {
    taken: slots.taken,
    stop() {
      stopped = true;
      slots.leave();
      end();
    },
    error: () => failure,
  };
}

/** Room for pieces in the memory: each slot has its turn again after all others. */
function createSlots(memory: SharedArrayBuffer, give: (offset: number, size: number) => void) {
  let given = 0;
  let taken = 0;
  let gathered = 0;
  let isLeft = false;
  let wake: (() => void) | undefined;
  const slot = () => new Uint8Array(memory, (given % SOURCE_WINDOW) * PIECE_SIZE, PIECE_SIZE);
  const fill = ({ byteOffset, length }: Uint8Array): void => {
    give(byteOffset, length);
    given++;
  };
  const room = async (): Promise<Uint8Array> => {
    if (given - taken >= SOURCE_WINDOW && !isLeft) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return slot();
  };
  const flush = (): void => {
    if (gathered > 0) fill(slot().subarray(0, gathered));
    gathered = 0;
  };
  return {
    /** The slot that comes next, as soon as the worker is done with it. */
    room,
    /** Gives a piece that lies in that slot. */
    fill,
    /** Makes few pieces of many. */
    async gather(piece: Uint8Array): Promise<void> {
      for (let rest = piece; rest.length > 0 && !isLeft; ) {
        const into = gathered === 0 ? await room() : slot();
        const bytes = rest.subarray(0, PIECE_SIZE - gathered);
        copyBytes(bytes, into, gathered);
        gathered += bytes.length;
        rest = rest.subarray(bytes.length);
        if (gathered === PIECE_SIZE) flush();
      }
    },
    /** Gives what was gathered, however little it is. */
    flush,
    taken(): void {
      taken++;
      wake?.();
    },
    /** Nobody waits for room any more. */
    leave(): void {
      isLeft = true;
      wake?.();
    },
  };
}
