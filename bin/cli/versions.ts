/** What `--version --json` tells. */

import { loadZstd } from '../../lib/compression/zstd-binding.js';
import { readVersion } from '../help/quick.js';

export interface Versions {
  readonly carport: string;
  readonly node: string;
  /** FileHash depends on it. */
  readonly zstd: string;
  /** What this version writes. */
  readonly formats: { readonly nar: number; readonly listing: number; readonly chunkTable: number };
}

export async function versions(): Promise<Versions> {
  const zstd = await loadZstd();
  return {
    carport: await readVersion(),
    node: process.versions.node,
    zstd: zstd.versionString(),
    formats: { nar: 1, listing: 1, chunkTable: 1 },
  };
}
