/** Hashes a store again, and gives up what is damaged. */

import { rm } from 'node:fs/promises';
import { CarportError, isErrno } from '../../errors.js';
import { namesIn } from '../../filesystem/exists.js';
import { formatHash, hashesEqual } from '../../nix/hash.js';
import type { PathInfo } from '../../nix/path-info.js';
import { hashPartOf, isHashPart, isStoreBaseName } from '../../nix/store-path.js';
import type { ActivityEvent, Emit } from '../../work.js';
import type { WorkerPool } from '../../workers/pool.js';
import type { Store } from '../store.js';
import { missingReferences } from '../walk-references.js';
import { type LockOptions, withStoreCollection } from './lock/lock.js';
import type { Registrations } from './metadata.js';
import { type DamagedMetadata, type OwnStore, queryUndamaged } from './own-store.js';
import { createUnregister } from './ownership-records.js';
import { unregister } from './unregister.js';
import { unregisteredEntries } from './unregistered.js';

/** What is wrong with a path of a store. */
export interface StoreProblem {
  readonly path: string;
  readonly problem: 'missing' | 'damaged' | 'damaged metadata' | 'unreadable' | 'incomplete';
  readonly detail: string;
}

/**
 * Of a path that has these its own files or metadata are no good: `--repair` gives it up. Of what cannot be read nothing is
 * known, and the others lack others.
 */
export const OWN_PROBLEMS: readonly StoreProblem['problem'][] = ['missing', 'damaged', 'damaged metadata'];

export interface VerifyResult {
  readonly checked: number;
  readonly problems: readonly StoreProblem[];
  /** Entries of the store dir that are not registered, and are carport's: the next pull uses them, or they are garbage. */
  readonly unregistered: readonly string[];
  /** Entries that are not registered, and of which nothing says that they are carport's. */
  readonly leftAlone: readonly string[];
}

/** How a store is verified. */
export interface VerifyOptions {
  readonly pool: WorkerPool;
  /** Store paths; all that are registered when none are given. */
  readonly only?: readonly string[] | undefined;
  readonly emit?: Emit<ActivityEvent>;
}

/**
 * Hashes paths of a store again, and checks that their references are valid: there or in one of the stores `known`, which
 * `addToStore` counted on.
 */
export async function verifyStore(
  store: OwnStore,
  known: Store,
  { pool, only, emit = () => undefined }: VerifyOptions,
): Promise<VerifyResult> {
  const { registered: all, damaged } = await store.queryReadable();
  const checked = only ? await queryUndamaged(store, only) : all;
  const outside = missingReferences(checked).map(({ path }) => path);
  const valid = new Set([...all.keys(), ...(await queryUndamaged(known, [...new Set(outside)])).keys()]);
  const bytes = [...checked.values()].reduce((sum, { narSize }) => sum + narSize, 0);
  emit({ type: 'started', verb: 'verify', unit: 'paths', items: checked.size, bytes });
  const problems = await Promise.all(
    [...checked.values()].map(async (info) => {
      const found = [...(await contentProblems(store, { pool, emit }, info)), ...referenceProblems(info, valid)];
      emit({ type: 'item-finished', name: info.path, size: info.narSize });
      return found;
    }),
  );
  const unreadable = (await metadataProblems(store, damaged)).filter(({ path }) => only?.includes(path) ?? true);
  const { ours, others } = only ? { ours: [], others: [] } : await unregisteredEntries(store, all);
  const hasMetadata = new Set(damaged.map(({ hashPart }) => hashPart));
  const isUnregistered = (name: string) => !isStoreBaseName(name) || !hasMetadata.has(hashPartOf(name));
  return {
    checked: checked.size + unreadable.length,
    problems: [...unreadable, ...(await withoutCollected(store, problems.flat()))],
    unregistered: ours.filter(isUnregistered),
    leftAlone: others.filter(isUnregistered),
  };
}

/**
 * Takes away the registration of what is damaged or missing, and of all that refers to it: the next pull or `addToStore`
 * brings it again, and replaces the files. What only lacks a reference stays. Gives the paths.
 */
export function unregisterDamaged(
  store: OwnStore,
  problems: readonly StoreProblem[],
  options: LockOptions = {},
): Promise<readonly string[]> {
  return withStoreCollection(
    store,
    async () => {
      const { registered, damaged } = await store.queryReadable();
      const given = problems.filter(({ problem }) => OWN_PROBLEMS.includes(problem)).map(({ path }) => path);
      const unreadable = (await withPaths(store, damaged)).filter(({ path }) => given.includes(path));
      const doomed = referrersOf(registered, given);
      await unregister(store, doomed);
      const claim = await createUnregister(store.layout);
      for (const { file, hashPart } of unreadable) {
        if (isHashPart(hashPart)) await claim(hashPart);
        else await rm(file, { force: true });
      }
      return [...doomed.keys(), ...unreadable.map(({ path }) => path)].sort();
    },
    options,
  );
}

/** The paths, and all that refer to them, directly or not. */
function referrersOf(graph: Registrations, paths: readonly string[]): Registrations {
  const referrers = new Map<string, string[]>();
  for (const { path, references } of graph.values()) {
    for (const reference of references) {
      const known = referrers.get(reference);
      if (known) known.push(path);
      else referrers.set(reference, [path]);
    }
  }
  const found = new Set(paths);
  for (const path of found) for (const referrer of referrers.get(path) ?? []) found.add(referrer);
  return new Map([...found].flatMap((path) => (graph.has(path) ? [[path, graph.get(path)!] as const] : [])));
}

/** What a garbage collection has removed in the meantime was no problem. */
async function withoutCollected(store: Store, problems: readonly StoreProblem[]): Promise<readonly StoreProblem[]> {
  const registered = await store.queryInfos([...new Set(problems.map(({ path }) => path))]);
  return problems.filter(({ path }) => registered.has(path));
}

async function contentProblems(
  store: OwnStore,
  { pool, emit }: Required<Pick<VerifyOptions, 'pool' | 'emit'>>,
  info: PathInfo,
): Promise<readonly StoreProblem[]> {
  const { path } = info;
  const job = { type: 'hash', path: store.realPath(info) } as const;
  const hash = async (onProgress?: (bytes: number) => void) =>
    (await pool.run(job, { ...(onProgress && { onProgress }) })).narHash;
  try {
    const first = await hash((bytes) => emit({ type: 'progress', bytes }));
    if (hashesEqual(first, info.narHash)) return [];
    // What is damaged stays so: what reads otherwise now is whole, or its disk or memory cannot be trusted.
    const narHash = await hash();
    const detail = `its hash is ${formatHash(narHash, 'sri')}, not ${formatHash(info.narHash, 'sri')}`;
    if (hashesEqual(narHash, first)) return [{ path, problem: 'damaged', detail }];
    return [{ path, problem: 'unreadable', detail: 'it has other bytes each time that it is read' }];
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [{ path, problem: 'missing', detail: 'its files are gone' }];
    const problem = error instanceof CarportError ? 'damaged' : 'unreadable';
    return [{ path, problem, detail: error instanceof Error ? error.message : String(error) }];
  }
}

function referenceProblems({ path, references }: PathInfo, valid: ReadonlySet<string>): readonly StoreProblem[] {
  return references
    .filter((reference) => !valid.has(reference))
    .map((reference) => ({ path, problem: 'incomplete', detail: `it refers to \`${reference}\`, which is not valid` }));
}

async function metadataProblems(
  store: OwnStore,
  damaged: readonly DamagedMetadata[],
): Promise<readonly StoreProblem[]> {
  return (await withPaths(store, damaged)).map(({ path, file, error }) => {
    const reason = error.cause instanceof Error ? `: ${error.cause.message}` : '';
    return { path, problem: 'damaged metadata', detail: `\`${file}\` cannot be used${reason}` };
  });
}

/** The paths that metadata are of, which cannot say so themselves: told by the store dir, or the file itself. */
async function withPaths(
  { layout, storeDir }: OwnStore,
  damaged: readonly DamagedMetadata[],
): Promise<readonly (DamagedMetadata & { readonly path: string })[]> {
  const names = damaged.length === 0 ? [] : (await namesIn(layout.realStoreDir)).filter(isStoreBaseName);
  const byHashPart = new Map(names.map((name) => [hashPartOf(name), `${storeDir}/${name}`]));
  return damaged.map((each) => ({ ...each, path: byHashPart.get(each.hashPart) ?? each.file }));
}
