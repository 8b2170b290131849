/** The job that helps another thread to compress its NAR. */

import { loadZstd } from '../../compression/zstd-binding.js';
import { openChunkLine } from '../chunk-line.js';
import type { AssistJob } from '../jobs.js';

export async function assist({ line, level, recalls }: AssistJob): Promise<void> {
  await loadZstd();
  const { compressChunk } = await import('../../compression/zstd-write.js');
  openChunkLine(line).help(recalls, (chunk, into) => compressChunk(level, chunk, into));
}
