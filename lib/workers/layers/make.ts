/** Makes a layer: reads trees, and in one pass hashes, compresses and writes their archive. */

import { createHash } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import { type Compressor, createIdentityCompressor } from '../../compression/compressor.js';
import { writeWhole } from '../../filesystem/unpack.js';
import type { JobContext } from '../jobs.js';
import type { Layer, LayerCompression, LayerJob } from './layer.js';
import { tarOf } from './tar.js';

export async function makeLayer(
  { compression, level, file, ...trees }: LayerJob,
  { progress }: JobContext,
): Promise<Layer> {
  const compressor = await compressorOf(compression, level);
  const [plain, packed] = [createHash('sha256'), createHash('sha256')];
  let [tarSize, size] = [0, 0];
  const output = openSync(file, 'wx');
  const take = (pieces: Iterable<Uint8Array>) => {
    for (const bytes of pieces) {
      packed.update(bytes);
      size += bytes.length;
      writeWhole(output, bytes);
    }
  };
  try {
    for await (const bytes of tarOf(trees)) {
      plain.update(bytes);
      tarSize += bytes.length;
      take(compressor.push(bytes));
      progress(bytes.length);
    }
    take(compressor.end());
  } finally {
    closeSync(output);
  }
  return { digest: `sha256:${packed.digest('hex')}`, size, diffId: `sha256:${plain.digest('hex')}`, tarSize };
}

/** What is not used is not loaded. */
async function compressorOf(compression: LayerCompression, level: number): Promise<Compressor> {
  if (compression === 'none') return createIdentityCompressor();
  if (compression === 'gzip') return (await import('./gzip.js')).createGzipCompressor(level);
  const { loadZstd } = await import('../../compression/zstd-binding.js');
  await loadZstd();
  return (await import('./zstd.js')).createZstdFrames(level);
}
