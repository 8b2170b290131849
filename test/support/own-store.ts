import { mkdirSync, writeFileSync } from 'node:fs';
import { makeContentAddressedPath, renderContentAddress } from '#lib/nix/content-address.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { hashPartOf } from '#lib/nix/store-path.js';
import { infoFile } from '#lib/store/own/layout.js';
import { renderMetadata } from '#lib/store/own/metadata.js';
import type { OwnStore } from '#lib/store/own/own-store.js';
import { createRecordNames } from '#lib/store/own/ownership-records.js';
import { createStoreWriter, type StoreWriter } from '#lib/store/own/writer/writer.js';
import type { WorkerPool } from '#lib/workers/pool.js';
import { writeTree } from './files.js';
import { naiveNar, type Tree } from './nar.js';

/** What is known of a tree that is a store path; named as Nix names it. */
export function infoOf(name: string, tree: Tree, references: readonly string[] = []): PathInfo {
  const nar = naiveNar(tree);
  const digest = Uint8Array.from(hashBytes('sha256', nar).digest);
  const address = { method: 'recursive', hash: { algorithm: 'sha256', digest } } as const;
  const path = makeContentAddressedPath(address, name, '/nix/store', { others: references, self: false });
  return {
    ...{ path, narHash: address.hash, narSize: nar.length, references: [...references].sort(), signatures: [] },
    ca: renderContentAddress(address),
  };
}

export function writerOf(store: OwnStore, pool: WorkerPool): Promise<StoreWriter> {
  return createStoreWriter(store, (path) => pool.run({ type: 'hash', path }));
}

/** Puts a tree into a store, as a pull would. */
export async function placeTree(
  store: OwnStore,
  pool: WorkerPool,
  name: string,
  tree: Tree,
  references: readonly string[] = [],
): Promise<PathInfo> {
  const info = infoOf(name, tree, references);
  const writer = await writerOf(store, pool);
  const temporary = writer.temporaryName();
  writeTree(temporary, tree);
  await writer.place(temporary, info);
  return info;
}

/** Says that a path is carport's, as a run does that is killed before it registers it. Makes the store. */
export async function writeClaim({ layout }: OwnStore, info: PathInfo): Promise<void> {
  for (const directory of [layout.claimsDir, layout.realStoreDir, layout.infoDir])
    mkdirSync(directory, { recursive: true });
  writeFileSync((await createRecordNames(layout))(hashPartOf(info.path)), renderMetadata(info));
}

/** Where a path's metadata is. */
export function metadataOf(store: OwnStore, { path }: Pick<PathInfo, 'path'>): string {
  return infoFile(store.layout, hashPartOf(path));
}
