import zstd from 'zstd-napi';

/** The beginning of a zstd frame: magic, then a header without content size that asks for a window. */
export function frameWithWindow(windowByte: number): Buffer {
  const lastRawBlockOfOneByte = [0b1001, 0, 0, 0x78];
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowByte, ...lastRawBlockOfOneByte]);
}

/** A frame of zstd's own compressor. */
export function frameOf(content: Uint8Array): Buffer {
  return zstd.compress(content);
}

/** A skippable frame: readers pass over it. */
export function skippableFrame(body: Uint8Array, magic = 0x184d2a50): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(magic, 0);
  header.writeUInt32LE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** A frame as the tables of a NAR object tell of it. */
export interface ToldFrame {
  readonly offset: number;
  readonly compressedSize: number;
  readonly size: number;
  readonly viewHash?: string;
  /** Which reference stands at each hash part. */
  readonly references?: readonly number[];
}

/** What a NAR object ends with, read anew from docs/nar-frames.md. */
export function readTables(file: Buffer): { chunks: ToldFrame[]; seek: ToldFrame[]; dataSize: number; rows: Buffer } {
  const seekCount = file.readUInt32LE(file.length - 9);
  if (file.readUInt32LE(file.length - 4) !== 0x8f92eab1) throw new Error('no seek table at the end');
  if (file[file.length - 5] !== 0) throw new Error('the seek table has checksums');
  const seekStart = file.length - 8 - (seekCount * 8 + 9);
  expectSkippable(file, seekStart, 0x184d2a5e, file.length);
  const dataSize = seekStart - file.readUInt32LE(seekStart - 4);
  expectSkippable(file, dataSize, 0x184d2a5c, seekStart);
  if (file.toString('latin1', dataSize + 8, dataSize + 16) !== 'carport2') throw new Error('no chunk table');
  const rows = file.subarray(dataSize + 16, seekStart - 4);
  return { seek: readSeekRows(file, seekStart + 8, seekCount), chunks: readRows(rows), dataSize, rows };
}

function expectSkippable(file: Buffer, start: number, magic: number, end: number): void {
  if (file.readUInt32LE(start) !== magic) throw new Error(`no frame ${magic.toString(16)} at ${start}`);
  if (start + 8 + file.readUInt32LE(start + 4) !== end) throw new Error(`the frame at ${start} has the wrong length`);
}

function readSeekRows(file: Buffer, start: number, count: number): ToldFrame[] {
  let offset = 0;
  return Array.from({ length: count }, (_, index) => {
    const compressedSize = file.readUInt32LE(start + index * 8);
    const frame = { offset, compressedSize, size: file.readUInt32LE(start + index * 8 + 4) };
    offset += compressedSize;
    return frame;
  });
}

/** The rows of a table of chunks. */
export function readRows(rows: Buffer): ToldFrame[] {
  const frames: ToldFrame[] = [];
  let [at, offset] = [0, 0];
  const number = (): number => {
    let [value, shift] = [0, 1];
    for (; ; shift *= 128) {
      const byte = rows[at++]!;
      value += (byte % 128) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < rows.length) {
    const [compressedSize, size] = [number(), number()];
    const viewHash = rows.toString('hex', at, at + 32);
    at += 32;
    const references: number[] = [];
    for (const count = number(); references.length < count; ) {
      const run = number();
      const length = run % 2 === 1 ? number() + 2 : 1;
      for (let left = length; left > 0; left--) references.push(Math.floor(run / 2));
    }
    frames.push({ offset, compressedSize, size, viewHash, references });
    offset += compressedSize;
  }
  return frames;
}
