/** Takes such a stream in. */

import { CarportError } from '../errors.js';
import { removeTree } from '../filesystem/temporary.js';
import { findContentAddress } from '../nix/content-address.js';
import { decodeExport, type ExportedPath } from '../nix/export.js';
import { mergeSignatures, type PathInfo } from '../nix/path-info.js';
import type { PublicKey } from '../signing/key.js';
import { fingerprint, signersOf } from '../signing/signature.js';
import { requireTrusted, type TrustPolicy } from '../signing/trust.js';
import type { ActivityEvent, Emit } from '../work.js';
import type { WorkerPool } from '../workers/pool.js';
import type { OwnStore } from './own/own-store.js';
import { createStoreWriter, type StoreWriter } from './own/writer/writer.js';

export interface ImportOptions {
  readonly store: OwnStore;
  readonly pool: WorkerPool;
  readonly trust: TrustPolicy;
  /** Told of the NARs that were read and of the paths that are registered; the caller knows how much there is. */
  readonly emit?: Emit<ActivityEvent>;
}

/**
 * Takes the paths of an export into the store, one after another. A path is registered when its signature was checked
 * against the bytes that came, and its references are there, and then given; the first that is refused ends it, and those
 * before it stay.
 */
export async function* importPaths(
  source: AsyncIterable<Uint8Array>,
  { store, pool, trust, emit = () => undefined }: ImportOptions,
): AsyncGenerator<PathInfo> {
  const writer = await createStoreWriter(store, (path) => pool.run({ type: 'hash', path }));
  const imported = new Map<string, PathInfo>();
  for await (const exported of decodeExport(source, store.storeDir)) {
    const take = { writer, pool, emit };
    const info = await importPath(exported, take, async (info) => {
      if (imported.has(info.path)) {
        throw new CarportError('E_FORMAT', `the export has \`${info.path}\` twice`, { hint: HINT });
      }
      requireTrusted(info, trust, 'the export');
      await requireReferences(info, imported, store);
    });
    await completeRegistration(info, store, writer, trust.keys);
    imported.set(info.path, info);
    emit({ type: 'item-finished', name: info.path, size: info.narSize });
    yield info;
  }
}

const HINT = 'it is damaged or was tampered with: export it again';

/** The tree is written and hashed before it is known which path it is: the stream says so at the end. */
async function importPath(
  exported: ExportedPath,
  { writer, pool, emit }: Required<Pick<ImportOptions, 'pool' | 'emit'>> & { readonly writer: StoreWriter },
  check: (info: PathInfo) => Promise<void>,
): Promise<PathInfo> {
  const temporary = writer.temporaryName();
  try {
    const job = { type: 'unpack-unknown', destination: temporary } as const;
    const onProgress = (bytes: number) => emit({ type: 'progress', bytes });
    const { flatHash, ...digest } = await pool.run(job, { source: exported.nar(), onProgress });
    const told = { ...(await exported.info()), ...digest };
    const ca = findContentAddress(told, flatHash);
    const info = { ...told, ...(ca && { ca }) };
    await check(info);
    await writer.place(temporary, info);
    return info;
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** What was here already gets the content address and the signatures by trusted keys that it lacks. */
async function completeRegistration(
  info: PathInfo,
  store: OwnStore,
  writer: StoreWriter,
  keys: readonly PublicKey[],
): Promise<void> {
  const registered = (await store.queryInfos([info.path])).get(info.path);
  const signed = fingerprint(info);
  if (registered === undefined || fingerprint(registered) !== signed) return;
  const missing = info.signatures.filter((each) => !registered.signatures.includes(each));
  const signatures = missing.filter((each) => signersOf(signed, [each], keys).length > 0);
  if (signatures.length === 0 && (registered.ca !== undefined || info.ca === undefined)) return;
  const ca = registered.ca ?? info.ca;
  const merged = mergeSignatures(registered.signatures, signatures);
  await writer.register({ ...registered, signatures: merged, ...(ca && { ca }) });
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
