/** The job that helps another thread to compress or decompress its NAR. */

import { loadZstd } from '../../compression/zstd-binding.js';
import { openChunkLine } from '../chunk-line.js';
import type { AssistJob } from '../jobs.js';

export async function assist({ line, level, recalls }: AssistJob): Promise<void> {
  await loadZstd();
  if (level === undefined) {
    const { decompressFrame } = await import('../line-decompressor.js');
    openChunkLine(line).help(recalls, decompressFrame);
  } else {
    const { compressChunk } = await import('../../compression/zstd-write.js');
    openChunkLine(line).help(recalls, (chunk, into) => compressChunk(level, chunk, into));
  }
}
