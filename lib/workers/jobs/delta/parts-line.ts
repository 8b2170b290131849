/** A line of chunks whose slots say which parts of trees are to be read: whoever has time reads them. */

import type { ChunkLine, CompressChunk } from '../../chunk-line.js';
import type { SharedWrites } from '../../files/shared-writes.js';
import { createLineOutput } from '../../line-output.js';
import type { LocalTrees } from './assembly.js';
import { createLocalParts, type LocalPart } from './local-parts.js';

/** Reads what slots tell of. */
export function createPartsReader(local: LocalTrees) {
  const reader = createLocalParts(local);
  const readAlone = (from: Uint8Array, size: number): Uint8Array => {
    const content = new Uint8Array(size);
    reader.read(parse(from), content);
    return content;
  };
  /** Nothing comes of what does not fit. */
  const read: CompressChunk = (from, _, into) => {
    const parts = parse(from);
    const size = sizeOf(parts);
    try {
      reader.read(parts, into.subarray(0, size));
      return { compressedSize: size, viewHash: NO_HASH };
    } catch {
      return { compressedSize: 0, viewHash: NO_HASH };
    }
  };
  return { read, readAlone, close: reader.close };
}

const NO_HASH = new Uint8Array(0);

/** The line as the thread has it that reads the NAR. */
export function createPartsLine(line: ChunkLine, writes: SharedWrites | undefined, local: LocalTrees) {
  const reader = createPartsReader(local);
  const { room, fill, ...output } = createLineOutput(line, writes, reader.read, reader.readAlone);
  return {
    ...output,
    /** Has parts read that together have no more bytes than the largest chunk. */
    add(parts: readonly LocalPart[]): void {
      const text = render(parts);
      room().set(text);
      fill(text.length, sizeOf(parts));
    },
    close(): void {
      output.end();
      reader.close();
    },
  };
}

function sizeOf(parts: readonly LocalPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}

/** Of hash parts a chunk has no more than one in 32 bytes, so that this is smaller than the chunks are. */
function render(parts: readonly LocalPart[]): Uint8Array {
  const rows = parts.map(({ size, from: { tree, offset, references } }) => {
    return [size, tree, offset, references.count, Buffer.from(references.runs).toString('base64')];
  });
  return Buffer.from(JSON.stringify(rows), 'latin1');
}

type Row = [size: number, tree: number, offset: number, count: number, runs: string];

function parse(text: Uint8Array): readonly LocalPart[] {
  const rows = JSON.parse(Buffer.from(text).toString('latin1')) as Row[];
  return rows.map(([size, tree, offset, count, runs]) => {
    return { size, from: { tree, offset, references: { count, runs: Buffer.from(runs, 'base64') } } };
  });
}
