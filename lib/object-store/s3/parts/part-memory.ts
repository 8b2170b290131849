/**
 * Memory for what is sent of files. A thread reads a part there while it takes its MD5, and the main thread sends it from there: read a
 * second time, piece by piece, it would cost the main thread twice as much, and more for the garbage.
 */

import { md5OfFile } from '../../../filesystem/small-files.js';
import { restartableRange } from '../../../http/body.js';
import type { RequestBody } from '../../../http/transport.js';

/** A part of a file, or all of it. */
export interface FilePart {
  readonly path: string;
  readonly start: number;
  readonly size: number;
}

/** A part as it is sent, as often as need be. */
export interface ReadPart {
  readonly md5: Buffer;
  readonly body: RequestBody;
}

/** Reads parts of files for as long as they are sent. */
export interface PartMemory {
  /** Calls `send` with a part, whose bytes are gone when it has ended. Waits while others hold all the memory. */
  hold<T>(part: FilePart, send: (part: ReadPart) => Promise<T>): Promise<T>;
}

const MIB = 1024 * 1024;

/** Pieces of memory have few sizes, so that they can be used again. What is larger is read from its file while it is sent. */
const SIZES: readonly number[] = [MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB];

/** Bytes that are held at a time, or kept to be used again: new memory would be cleared first, page by page. */
const MOST_BYTES = 32 * MIB;

/** Makes the memory of one bucket. */
export function createPartMemory(): PartMemory {
  const room = createRoom();
  return {
    async hold({ path, start, size }, send) {
      const length = SIZES.find((each) => each >= size);
      if (length === undefined) {
        return send({ md5: await md5OfFile(path, start, size), body: restartableRange(path, start, size) });
      }
      const memory = await room.take(length);
      try {
        const md5 = await md5OfFile(path, start, size, memory);
        return await send({ md5, body: Buffer.from(memory, 0, size) });
      } finally {
        room.giveBack(memory);
      }
    },
  };
}

/** Memory that is taken in turns, in the order of calls. */
function createRoom() {
  const waiting: { readonly length: number; readonly begin: () => void }[] = [];
  let kept: readonly SharedArrayBuffer[] = [];
  let held = 0;
  const letIn = (): void => {
    while (waiting[0] && held + waiting[0].length <= MOST_BYTES) {
      const { length, begin } = waiting.shift()!;
      held += length;
      begin();
    }
  };
  /** Lets go of what was used longest ago, until there is room for what is held. */
  const trim = (): void => {
    const sizeOf = (all: typeof kept) => all.reduce((sum, { byteLength }) => sum + byteLength, 0);
    while (held + sizeOf(kept) > MOST_BYTES) kept = kept.slice(0, -1);
  };
  return {
    async take(length: number): Promise<SharedArrayBuffer> {
      await new Promise<void>((begin) => {
        waiting.push({ length, begin });
        letIn();
      });
      const memory = kept.find(({ byteLength }) => byteLength === length);
      kept = kept.filter((each) => each !== memory);
      trim();
      return memory ?? new SharedArrayBuffer(length);
    },
    giveBack(memory: SharedArrayBuffer): void {
      held -= memory.byteLength;
      kept = [memory, ...kept];
      letIn();
    },
  };
}
