/** Buffers that are used again, and bytes that can be moved to a thread. */

import type { Writable } from 'node:stream';

/** Buffers of one size that are used again: allocating and collecting them costs more than filling small ones. */
export interface BufferPool {
  take(): Buffer;
  /** Only for a buffer that nobody looks at any more. */
  giveBack(buffer: Buffer): void;
}

/** Buffers that are kept for later; more than these are left to the garbage collector. */
const KEPT = 4;

export function createBufferPool(size: number): BufferPool {
  const free: Buffer[] = [];
  return {
    take: () => free.pop() ?? Buffer.allocUnsafe(size),
    giveBack(buffer) {
      if (free.length < KEPT) free.push(buffer);
    },
  };
}

/** Memory for the next piece of a stream, of any size. The same may be given until a piece that lies in it has come. */
export type Room = () => Uint8Array | Promise<Uint8Array>;

/** Pieces of a stream, which is read once. */
export interface Pieces extends AsyncIterable<Uint8Array> {
  /** In place of reading them so: pieces that mostly lie in memory that `room` gives, each for as long as its caller likes. */
  into?(room: Room): AsyncIterable<Uint8Array>;
}

/** Pieces, in memory that is given as far as that can be. */
export function piecesIn(pieces: Pieces, room: Room | undefined): AsyncIterable<Uint8Array> {
  return (room && pieces.into?.(room)) ?? pieces;
}

/** Bytes that are alone in their memory, so that they can be moved to another thread: small Node buffers share one. */
export function ownMemory(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const alone = bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer;
  return alone ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}

/**
 * Copies bytes into others at an offset, as `set` does. That goes byte by byte into memory that threads share, which takes
 * several times as long.
 */
export function copyBytes(from: Uint8Array, into: Uint8Array, offset: number): void {
  if (from.length === 0) return;
  Buffer.from(into.buffer, into.byteOffset + offset, from.length).fill(from);
}

/**
 * Gives a stream all bytes of a source, and ends it. The next piece is asked for when the stream is done with the one before, whose
 * memory may be used again: Node's own streams read ahead. Throws what the source throws; a stream that closes lets the source go.
 */
export async function feed(source: AsyncIterable<Uint8Array>, stream: Writable): Promise<void> {
  const pieces = source[Symbol.asyncIterator]();
  // Not awaited: the source may never answer.
  stream.once('close', () => void pieces.return?.().catch(() => undefined));
  while (stream.writable) {
    const { value, done } = await pieces.next();
    if (done) stream.end();
    else await give(value, stream);
  }
}

/** A stream that is closed need not say that it is done. */
function give(piece: Uint8Array, stream: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stream.off('close', done);
      resolve();
    };
    stream.once('close', done);
    stream.write(piece, done);
  });
}
