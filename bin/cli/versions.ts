/** What `--version --json` tells. */

import { readFile } from 'node:fs/promises';

export interface Versions {
  readonly carport: string;
  readonly node: string;
  /** FileHash depends on it. */
  readonly zstd: string;
  /** What this version writes. */
  readonly formats: { readonly nar: number; readonly listing: number; readonly chunkTable: number };
}

export async function versions(): Promise<Versions> {
  const { default: zstd } = await import('zstd-napi/binding.js');
  const manifest: unknown = JSON.parse(await readFile(new URL('../../../package.json', import.meta.url), 'utf8'));
  return {
    carport: (manifest as { version: string }).version,
    node: process.versions.node,
    zstd: zstd.versionString(),
    formats: { nar: 1, listing: 1, chunkTable: 1 },
  };
}
