import { CarportError } from '../errors.js';
import { removeTree } from '../filesystem/temporary.js';
import { decodeExport, type ExportedPath } from '../nix/export.js';
import type { PathInfo } from '../nix/narinfo.js';
import { requireTrusted, type TrustPolicy } from '../signing/trust.js';
import type { WorkerPool } from '../workers/pool.js';
import { createStoreWriter, type OwnStore, type StoreWriter } from './own-store.js';

export interface ImportOptions {
  readonly store: OwnStore;
  readonly pool: WorkerPool;
  readonly trust: TrustPolicy;
}

/**
 * Takes the paths of an export into the store, one after another. A path is registered when its signature was checked
 * against the bytes that came, and its references are there; the first that is refused ends it, and those before it stay.
 */
export async function importPaths(
  source: AsyncIterable<Uint8Array>,
  { store, pool, trust }: ImportOptions,
): Promise<readonly PathInfo[]> {
  const writer = await createStoreWriter(store, (path) => pool.run({ type: 'hash', path }));
  const imported = new Map<string, PathInfo>();
  for await (const exported of decodeExport(source, store.storeDir)) {
    const info = await importPath(exported, writer, pool, async (info) => {
      if (imported.has(info.path)) {
        throw new CarportError('E_FORMAT', `the export has \`${info.path}\` twice`, { hint: HINT });
      }
      requireTrusted(info, trust, 'the export');
      await requireReferences(info, imported, store);
    });
    imported.set(info.path, info);
  }
  return [...imported.values()];
}

const HINT = 'it is damaged or was tampered with: export it again';

/** The tree is written and hashed before it is known which path it is: the stream says so at the end. */
async function importPath(
  exported: ExportedPath,
  writer: StoreWriter,
  pool: WorkerPool,
  check: (info: PathInfo) => Promise<void>,
): Promise<PathInfo> {
  const temporary = writer.temporaryName();
  try {
    const digest = await pool.run({ type: 'unpack-unknown', destination: temporary }, { source: exported.nar() });
    const info = { ...(await exported.info()), ...digest };
    await check(info);
    await writer.place(temporary, info);
    return info;
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

async function requireReferences(
  { path, references }: PathInfo,
  imported: ReadonlyMap<string, PathInfo>,
  store: OwnStore,
): Promise<void> {
  const others = references.filter((reference) => reference !== path && !imported.has(reference));
  const known = await store.queryInfos(others);
  const missing = others.find((reference) => !known.has(reference));
  if (missing === undefined) return;
  throw new CarportError('E_INTEGRITY', `\`${path}\` refers to \`${missing}\`, which is not here`, {
    cause: new Error('it is neither before it in the export nor in the store'),
    hint: 'export the whole closure, or import what is missing first',
  });
}
