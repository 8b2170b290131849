/** What says that an unregistered entry of the store dir is carport's. */

import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FULL, isErrno } from '../../errors.js';
import { namesIn } from '../../filesystem/exists.js';
import { makeDirectory } from '../../filesystem/make-directory.js';
import { createTemporaryNames } from '../../filesystem/temporary.js';
import type { PathInfo } from '../../nix/path-info.js';
import { isHashPart } from '../../nix/store-path.js';
import { infoFile, type StoreLayout } from './layout.js';
import { isDamage, readMetadataFile } from './metadata.js';

/*
 * A claim says that an entry of the store dir is carport's although it is not registered: it is there before a tree gets
 * its store path, and becomes its metadata; and metadata that are given up become a claim until the tree is gone. What is
 * neither registered nor claimed may be Nix's, whose state need not be beside it, or a person's, and is left alone.
 *
 * Its name is the path's hash part and then a temporary name, its content the path's metadata.
 */

export interface OwnershipRecord {
  readonly hashPart: string;
  readonly file: string;
  /** Absent when it cannot be read: after a power failure it may be empty. */
  readonly info?: PathInfo;
}

const HASH_PART_LENGTH = 32;

/** Gives names of files for records of this process. */
export async function createRecordNames({ claimsDir }: StoreLayout): Promise<(hashPart: string) => string> {
  const nextName = await createTemporaryNames('');
  return (hashPart) => `${claimsDir}/${hashPart}${nextName()}`;
}

/** Hash parts that are claimed, and the files that do so. */
export async function claimedHashParts({ claimsDir }: StoreLayout): Promise<ReadonlyMap<string, readonly string[]>> {
  const claimed = new Map<string, string[]>();
  for (const name of await namesIn(claimsDir)) {
    const hashPart = name.slice(0, HASH_PART_LENGTH);
    if (!isHashPart(hashPart)) continue;
    const files = claimed.get(hashPart) ?? [];
    claimed.set(hashPart, files);
    files.push(join(claimsDir, name));
  }
  return claimed;
}

/** Every claim, with what it tells. */
export async function readOwnershipRecords(layout: StoreLayout): Promise<readonly OwnershipRecord[]> {
  const records = [...(await claimedHashParts(layout))].flatMap(([hashPart, files]) =>
    files.map(async (file): Promise<OwnershipRecord> => {
      const info = await readMetadataFile(file, layout, hashPart).catch((error) => {
        if (isDamage(error)) return undefined;
        throw error;
      });
      return { hashPart, file, ...(info && { info }) };
    }),
  );
  return Promise.all(records);
}

/** Gives what takes registrations away. A tree that was not found is still known to be carport's: metadata become a claim. */
export async function createUnregister(
  layout: StoreLayout,
): Promise<(hashPart: string, found?: boolean) => Promise<void>> {
  // On a full disk they are removed instead: who collects garbage then wants to have space.
  const canRecord = await makeDirectory(layout.claimsDir).then(() => true, ignoreFull);
  const nextName = await createRecordNames(layout);
  return async (hashPart, found = false) => {
    const file = infoFile(layout, hashPart);
    const records = canRecord && !found;
    const claimed = records && (await rename(file, nextName(hashPart)).then(() => true, ignoreFull));
    if (!claimed) await rm(file, { force: true });
  };
}

function ignoreFull(error: unknown): false {
  if (isErrno(error, ...FULL, 'ENOENT')) return false;
  throw error;
}
