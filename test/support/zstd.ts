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
  readonly sha256?: string;
}

/** What a NAR object ends with, read anew from the formats' definitions. */
export function readTables(file: Buffer): { chunks: ToldFrame[]; seek: ToldFrame[]; dataSize: number } {
  const seekCount = file.readUInt32LE(file.length - 9);
  if (file.readUInt32LE(file.length - 4) !== 0x8f92eab1) throw new Error('no seek table at the end');
  if (file[file.length - 5] !== 0) throw new Error('the seek table has checksums');
  const seekStart = file.length - 8 - (seekCount * 8 + 9);
  expectSkippable(file, seekStart, 0x184d2a5e, file.length);
  const chunkStart = seekStart - 8 - (8 + seekCount * 40);
  expectSkippable(file, chunkStart, 0x184d2a5c, seekStart);
  if (file.toString('latin1', chunkStart + 8, chunkStart + 16) !== 'carport1') throw new Error('no chunk table');
  return {
    seek: rows(file, seekStart + 8, seekCount, 8),
    chunks: rows(file, chunkStart + 16, seekCount, 40),
    dataSize: chunkStart,
  };
}

function expectSkippable(file: Buffer, start: number, magic: number, end: number): void {
  if (file.readUInt32LE(start) !== magic) throw new Error(`no frame ${magic.toString(16)} at ${start}`);
  if (start + 8 + file.readUInt32LE(start + 4) !== end) throw new Error(`the frame at ${start} has the wrong length`);
}

function rows(file: Buffer, start: number, count: number, rowSize: number): ToldFrame[] {
  let offset = 0;
  return Array.from({ length: count }, (_, index) => {
    const row = start + index * rowSize;
    const compressedSize = file.readUInt32LE(row);
    const frame = { offset, compressedSize, size: file.readUInt32LE(row + 4) };
    offset += compressedSize;
    return rowSize > 8 ? { ...frame, sha256: file.toString('hex', row + 8, row + 40) } : frame;
  });
}
