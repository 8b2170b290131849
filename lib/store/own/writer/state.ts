/** What a writer of an own store knows: what was there when it was made, and which names it may give. */

import { readdir } from 'node:fs/promises';
import { makeDirectory } from '../../../filesystem/make-directory.js';
import { createTemporaryNames, removeLeftovers } from '../../../filesystem/temporary.js';
import type { NarDigest } from '../../../workers/jobs.js';
import type { StoreLayout } from '../layout.js';
import { claimedHashParts, createRecordNames } from '../ownership-records.js';

/** Gives the digest of a tree; it runs in a worker. */
export type HashTree = (path: string) => Promise<NarDigest>;

export interface WriterState {
  readonly layout: StoreLayout;
  readonly hash: HashTree;
  /** Names of entries of the store dir, when the writer was made. */
  readonly names: ReadonlySet<string>;
  /** Files that claim hash parts, when the writer was made. */
  readonly claimed: ReadonlyMap<string, readonly string[]>;
  /** Gives names for trees that are being made, in the store dir. */
  temporaryName(): string;
  /** Gives names for metadata that are being written. */
  temporaryInfoName(): string;
  /** Gives names for claims of a hash part. */
  nextRecord(hashPart: string): string;
}

/** Makes the directories of a store, tidies them, and looks at what is there. */
export async function openWriterState(layout: StoreLayout, hash: HashTree): Promise<WriterState> {
  await makeDirectory(layout.realStoreDir);
  await makeDirectory(layout.infoDir);
  await makeDirectory(layout.claimsDir);
  await removeLeftovers(layout.realStoreDir);
  await removeLeftovers(layout.infoDir);
  const temporaryName = await createTemporaryNames(layout.realStoreDir);
  const names = new Set(await readdir(layout.realStoreDir));
  // After the names: the claim of a tree is there before it, and is no more when it is registered.
  const claimed = await claimedHashParts(layout);
  const temporaryInfoName = await createTemporaryNames(layout.infoDir);
  const nextRecord = await createRecordNames(layout);
  return { layout, hash, names, claimed, temporaryName, temporaryInfoName, nextRecord };
}
