import { rm } from 'node:fs/promises';
import { topologicalOrder } from '../nix/closure.js';
import type { PathInfo } from '../nix/narinfo.js';
import { hashPartOf } from '../nix/store-path.js';
import { infoFile } from './layout.js';
import type { OwnStore } from './own-store.js';

/**
 * Takes away the registration of paths that no other registered path refers to. Each goes before those that it refers
 * to: at every instant, and after a kill, what is registered has its closure. Do this within `withStoreCollection`.
 */
export async function unregister(
  { layout }: Pick<OwnStore, 'layout'>,
  paths: ReadonlyMap<string, PathInfo>,
): Promise<void> {
  for (const { path } of [...topologicalOrder(paths)].reverse()) {
    await rm(infoFile(layout, hashPartOf(path)), { force: true });
  }
}
