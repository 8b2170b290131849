/** The job that helps another thread to compress, decompress or assemble its NAR. */

import { loadZstd } from '../../compression/zstd-binding.js';
import { type ChunkLine, type CompressChunk, openChunkLine } from '../chunk-line.js';
import { openWrites } from '../files/shared-writes.js';
import type { AssistJob } from '../jobs.js';
import type { LocalTrees } from './delta/assembly.js';

export async function assist({ line, level, local, recalls }: AssistJob): Promise<void> {
  if (local) return assistWithParts(line, local, recalls);
  await loadZstd();
  if (level === undefined) {
    const { decompressFrame } = await import('../line-decompressor.js');
    openChunkLine(line).help(recalls, decompressFrame, openWrites(line)?.help);
  } else {
    const { compressChunk } = await import('../../compression/zstd-write.js');
    const compress: CompressChunk = (chunk, positions, into) => compressChunk(level, chunk, positions, into);
    openChunkLine(line).help(recalls, compress);
  }
}

async function assistWithParts(line: ChunkLine, local: LocalTrees, recalls: number): Promise<void> {
  const { createPartsReader } = await import('./delta/parts-line.js');
  const reader = createPartsReader(local);
  try {
    openChunkLine(line).help(recalls, reader.read, openWrites(line)?.help);
  } finally {
    reader.close();
  }
}
