/** Answers that are read one after another: while one is, the next are fetched, as a server far away answers late. */

import { copyBytes } from '../../lib/buffers.js';
import { formatError } from '../../lib/errors.js';

/** Bytes that cost a request. */
export interface Answer {
  /** Bytes, at most. */
  readonly size: number;
  /** Asks for them when the first is wanted. */
  bytes(): AsyncIterable<Uint8Array>;
}

/** What is held at most, or on its way to be. */
export interface ReadAheadLimits {
  readonly answers: number;
  readonly bytes: number;
}

/** A quarter of the requests that go to a server at a time, and as many bytes as so many ranges mostly have. */
const LIMITS: ReadAheadLimits = { answers: 32, bytes: 8 * 1024 * 1024 };

/**
 * Gives the bytes of answers, one after another, and fetches the next of them into memory as far as there is room: when something of the
 * first has come, or at once where it `isSure` that something will. Who refuses one refuses all. Throws what an answer throws when all
 * before it are given; no other is asked for then, and when this ends, however it does, nothing more is read.
 */
export type ReadAhead = (answers: readonly Answer[], isSure: boolean) => AsyncGenerator<Uint8Array>;

/** What is read by one of these has its limits in common. Nobody waits for room: what is read just now needs none. */
export function createReadAhead({ answers: most, bytes }: ReadAheadLimits = LIMITS): ReadAhead {
  let [held, heldBytes] = [0, 0];
  const takeRoom: TakeRoom = ({ size }) => {
    if (held >= most || heldBytes + size > bytes) return undefined;
    held++;
    heldBytes += size;
    return () => {
      held--;
      heldBytes -= size;
    };
  };
  return async function* read(answers, isSure) {
    const ahead = createAhead(answers, takeRoom);
    try {
      for (const [index, answer] of answers.entries()) {
        if (isSure || index > 0) ahead.fill(index);
        const pieces = ahead.take();
        for await (const piece of pieces ?? answer.bytes()) {
          ahead.fill(index + 1);
          yield piece;
        }
      }
    } finally {
      ahead.leave();
    }
  };
}

/** Takes room for an answer, and gives how it is given back; `undefined` where there is none. */
type TakeRoom = (answer: Answer) => (() => void) | undefined;

interface Held {
  readonly bytes: Promise<Uint8Array>;
  giveBack(): void;
}

/** Answers that were asked for before they are read. */
function createAhead(answers: readonly Answer[], takeRoom: TakeRoom) {
  const held: Held[] = [];
  let next = 0;
  let hasFailed = false;
  let isLeft = false;
  /** What comes in many small pieces takes no more memory than what comes in one. */
  const collect = async (answer: Answer): Promise<Uint8Array> => {
    const bytes = Buffer.allocUnsafe(answer.size);
    let used = 0;
    for await (const piece of answer.bytes()) {
      if (isLeft) break;
      if (piece.length > bytes.length - used) throw formatError('an answer', 'it is longer than what was asked for');
      copyBytes(piece, bytes, used);
      used += piece.length;
    }
    return bytes.subarray(0, used);
  };
  const begin = (answer: Answer, giveBack: () => void): Held => {
    const bytes = collect(answer);
    // It is thrown when its turn comes.
    bytes.catch(() => {
      hasFailed = true;
    });
    return { bytes, giveBack };
  };
  return {
    /** Asks for what comes from an index on and was not asked for, as far as there is room. */
    fill(from: number): void {
      for (next = Math.max(next, from); next < answers.length && !hasFailed; next++) {
        const giveBack = takeRoom(answers[next]!);
        if (giveBack === undefined) return;
        held.push(begin(answers[next]!, giveBack));
      }
    },
    /** The bytes of the first of these that was not taken; `undefined` where there is none. */
    take(): AsyncIterable<Uint8Array> | undefined {
      const first = held.shift();
      return first && bytesOf(first);
    },
    /** Reads nothing more. What is on its way has its room until it has ended. */
    leave(): void {
      isLeft = true;
      for (const { bytes, giveBack } of held.splice(0)) void bytes.catch(() => undefined).finally(giveBack);
    },
  };
}

async function* bytesOf({ bytes, giveBack }: Held): AsyncGenerator<Uint8Array> {
  try {
    yield await bytes;
  } finally {
    giveBack();
  }
}
