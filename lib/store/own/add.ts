/** Build outputs as content-addressed paths. */

import { basename, resolve } from 'node:path';
import { CarportError } from '../../errors.js';
import { removeTree } from '../../filesystem/temporary.js';
import { makeContentAddressedPath, renderContentAddress } from '../../nix/content-address.js';
import { hashesEqual } from '../../nix/hash.js';
import type { PathInfo } from '../../nix/path-info.js';
import { hashPartOf, isStoreBaseName } from '../../nix/store-path.js';
import type { NarDigest, ScanResult } from '../../workers/jobs.js';
import type { WorkerPool } from '../../workers/pool.js';
import type { Store } from '../store.js';
import { type LockOptions, withStoreWrite } from './lock/lock.js';
import type { OwnStore } from './own-store.js';
import { createStoreWriter } from './writer/writer.js';

export interface AddOptions extends LockOptions {
  readonly path: string;
  readonly name: string;
  readonly store: OwnStore;
  /** Whose paths count as references: at least those of `store`. */
  readonly known: Store;
  readonly pool: WorkerPool;
}

export interface Added {
  readonly info: PathInfo;
  /** It was in the store already. */
  readonly existed: boolean;
  /** Hash parts of paths that the content names and that no store here has. */
  readonly unknownMentions: readonly string[];
}

/**
 * Adds a file tree as a content-addressed path, named as Nix names it: by its NAR hash, its references to known store
 * paths, which are found by scanning, and whether it refers to itself. A tree can only refer to itself when it was built
 * for a store path; that is told by its base name, `<hash part>-<name>`, and its hash part is rewritten to the new one.
 */
export async function addToStore(options: AddOptions): Promise<Added> {
  // What is referred to must not be collected before it is referred to.
  return withStoreWrite(options.store, () => add(options), options);
}

async function add({ path, name, store, known, pool }: AddOptions): Promise<Added> {
  const hashParts = await known.queryHashParts();
  const scan = await scanTree(pool, path, hashParts, store.storeDir);
  const references = await validPaths(scan, hashParts, known);
  const address = { method: 'recursive', hash: scan.self?.seen ? scan.self.hash : scan.narHash } as const;
  const self = scan.self?.seen === true;
  const storePath = makeContentAddressedPath(address, name, store.storeDir, { others: references, self });
  const unknownMentions = unknownOf(scan, path, hashParts);

  const existing = (await store.queryInfos([storePath])).get(storePath);
  if (existing) return { info: existing, existed: true, unknownMentions };

  const writer = await createStoreWriter(store, (tree) => pool.run({ type: 'hash', path: tree }));
  const temporary = writer.temporaryName();
  try {
    const rewrite = self ? { from: selfHashPart(path)!, to: hashPartOf(storePath) } : undefined;
    const digest = await pool.run({ type: 'copy', path, destination: temporary, ...(rewrite && { rewrite }) });
    const info: PathInfo = {
      path: storePath,
      ...digest,
      references: [...references, ...(self ? [storePath] : [])].sort(),
      signatures: [],
      ca: renderContentAddress(address),
    };
    await checkCopy(pool, temporary, digest, scan, rewrite?.to);
    await writer.place(temporary, info);
    return { info, existed: false, unknownMentions };
  } finally {
    await removeTree(temporary);
  }
}

function scanTree(
  pool: WorkerPool,
  path: string,
  hashParts: ReadonlyMap<string, string>,
  storeDir: string,
): Promise<ScanResult> {
  const self = selfHashPart(path);
  const candidates = [...hashParts.keys()].filter((hashPart) => hashPart !== self);
  return pool.run({ type: 'scan', path, candidates, storeDir, ...(self && { selfHashPart: self }) });
}

/** The hash part of the store path that a tree was built for. */
function selfHashPart(path: string): string | undefined {
  const name = basename(resolve(path));
  return isStoreBaseName(name) ? hashPartOf(name) : undefined;
}

async function validPaths(
  { found }: ScanResult,
  hashParts: ReadonlyMap<string, string>,
  known: Store,
): Promise<readonly string[]> {
  const paths = found.map((hashPart) => hashParts.get(hashPart)!);
  return [...(await known.queryInfos(paths)).keys()].sort();
}

function unknownOf({ mentions }: ScanResult, path: string, hashParts: ReadonlyMap<string, string>): readonly string[] {
  return mentions.filter((hashPart) => !hashParts.has(hashPart) && hashPart !== selfHashPart(path));
}

/** The copy must be what was scanned: the tree may have changed in between. */
async function checkCopy(
  pool: WorkerPool,
  copy: string,
  digest: NarDigest,
  scan: ScanResult,
  self: string | undefined,
): Promise<void> {
  const same =
    self === undefined
      ? hashesEqual(digest.narHash, scan.narHash)
      : hashesEqual(await hashWithout(pool, copy, self), scan.self!.hash);
  if (!same) {
    throw new CarportError('E_INTEGRITY', 'the files changed while they were added', {
      hint: 'run it again when nothing writes to them',
    });
  }
}

async function hashWithout(pool: WorkerPool, path: string, selfHashPart: string) {
  const { self } = await pool.run({ type: 'scan', path, candidates: [], storeDir: '/', selfHashPart });
  return self!.hash;
}
