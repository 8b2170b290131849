/** The body of an answer, poured into memory that is given: of a large one a promise for each piece of a socket costs most. */

import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import { copyBytes, type Room } from '../../buffers.js';
import { restOfBody } from './taps.js';

/** How long a server may send nothing, and the error that it then is. */
export interface StallLimits {
  readonly stallMs: number;
  readonly stalled: () => Error;
}

/**
 * The body, in pieces that fill what `room` gives, but for the last. It ends with an error when no byte comes for too long
 * while there is room.
 */
export async function* pourBody(
  message: IncomingMessage,
  room: Room,
  { stallMs, stalled }: StallLimits,
): AsyncGenerator<Uint8Array> {
  const flow = createFlow(message);
  try {
    for (let hasEnded = false; !hasEnded; ) {
      const memory = await room();
      // A slow reader is not the server's fault: it is waited for the server only.
      const timer = setTimeout(() => message.destroy(stalled()), stallMs);
      const size = await flow.fill(memory, timer).finally(() => clearTimeout(timer));
      if (size > 0) yield memory.subarray(0, size);
      hasEnded = size < memory.length;
    }
    const error = flow.error();
    if (error) throw error;
  } finally {
    message.destroy();
  }
}

/** Fills one memory after another with what comes. */
function createFlow(message: IncomingMessage) {
  const filling = createFilling();
  let failure: Error | undefined;
  const from = openSource(message, filling);
  finished(message, { writable: false }, (error) => {
    // Of a body that is read past the message it is told that it was not whole.
    failure = filling.hasEnded() ? undefined : (error ?? undefined);
    filling.end();
  });
  return {
    /** Bytes that came: fewer than there is room for at the end, and when it has failed. */
    async fill(memory: Uint8Array, timer: NodeJS.Timeout): Promise<number> {
      const filled = filling.begin(memory, timer);
      if (!filling.isFull() && !filling.hasEnded()) {
        from.go();
        await filled;
      }
      return filling.take();
    },
    error: () => failure,
  };
}

interface Source {
  /** Has bytes come. */
  go(): void;
}

/** Where the bytes come from: the connection itself, or the message. */
function openSource(message: IncomingMessage, filling: Filling): Source {
  const rest = restOfBody(message);
  if (!rest) {
    let isListening = false;
    const listen = () => message.on('data', (piece: Uint8Array) => filling.add(piece) || message.pause());
    return {
      go() {
        if (isListening) message.resume();
        else listen();
        isListening = true;
      },
    };
  }
  const { begun, socket } = rest;
  let missing = rest.size;
  filling.add(begun);
  rest.readTo({
    memory: () => filling.memory(missing),
    take(bytes) {
      // What comes after the body is nobody's.
      const wanted = bytes.subarray(0, missing);
      missing -= wanted.length;
      const isWanted = filling.add(wanted);
      if (missing === 0) filling.end();
      return isWanted && missing > 0;
    },
  });
  return { go: () => void socket.resume() };
}

type Filling = ReturnType<typeof createFilling>;

/** Memory that is being filled, and what came and found no room. */
function createFilling() {
  let memory: Uint8Array = new Uint8Array(0);
  let used = 0;
  let rest: Uint8Array = new Uint8Array(0);
  let ended = false;
  let timer: NodeJS.Timeout | undefined;
  let wake: (() => void) | undefined;
  const put = (bytes: Uint8Array): Uint8Array => {
    const fitting = bytes.subarray(0, memory.length - used);
    const isThere = fitting.buffer === memory.buffer && fitting.byteOffset === memory.byteOffset + used;
    if (!isThere) copyBytes(fitting, memory, used);
    used += fitting.length;
    return bytes.subarray(fitting.length);
  };
  const isFull = () => used === memory.length;
  return {
    isFull,
    /** Whether no more comes; what found no room may be left. */
    hasEnded: () => ended,
    /** Fills another memory; settles when it is full, or no more comes. */
    begin(into: Uint8Array, watch: NodeJS.Timeout): Promise<void> {
      memory = into;
      used = 0;
      timer = watch;
      rest = put(rest);
      return new Promise((resolve) => {
        wake = resolve;
      });
    },
    /** Takes the memory away; the bytes in it. */
    take(): number {
      const size = used;
      memory = new Uint8Array(0);
      used = 0;
      return size;
    },
    /** Room for so many bytes at most, while there is any. */
    memory: (most: number): Uint8Array | undefined => (isFull() ? undefined : memory.subarray(used, used + most)),
    /** Adds bytes, of which those are kept that find no room; whether more do. */
    add(bytes: Uint8Array): boolean {
      timer?.refresh();
      const left = put(bytes);
      if (left.length > 0) rest = Buffer.concat([rest, left]);
      if (isFull()) wake?.();
      return !isFull();
    },
    /** No more comes. */
    end(): void {
      ended = true;
      wake?.();
    },
  };
}
