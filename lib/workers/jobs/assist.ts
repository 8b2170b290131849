/** The job that helps another thread to compress or decompress its NAR. */

import { loadZstd } from '../../compression/zstd-binding.js';
import { type CompressChunk, openChunkLine } from '../chunk-line.js';
import { openWrites } from '../files/shared-writes.js';
import type { AssistJob } from '../jobs.js';

export async function assist({ line, level, recalls }: AssistJob): Promise<void> {
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
