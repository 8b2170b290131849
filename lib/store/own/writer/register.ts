/** Registers trees that are at their place already: a killed run or another process put them there. */

import { rm } from 'node:fs/promises';
import { CarportError, isErrno } from '../../../errors.js';
import { isThere } from '../../../filesystem/exists.js';
import { writeFileAtomic } from '../../../filesystem/small-files.js';
import { hashesEqual } from '../../../nix/hash.js';
import type { PathInfo } from '../../../nix/path-info.js';
import { hashPartOf } from '../../../nix/store-path.js';
import { infoFile, realPathIn, type StoreLayout } from '../layout.js';
import { type Registration, readMetadata, renderMetadata } from '../metadata.js';
import type { WriterState } from './state.js';

/** Whether the tree that is at a store path is what `info` says. */
export async function isWhole({ layout, hash }: WriterState, info: PathInfo): Promise<boolean> {
  try {
    const { narHash, narSize } = await hash(realPathIn(layout, info.path));
    return narSize === info.narSize && hashesEqual(narHash, info.narHash);
  } catch {
    return false;
  }
}

/** What is registered under the path's hash part, if it can be read. Throws `E_INTEGRITY` when that is another path. */
export async function registrationOf(layout: StoreLayout, { path }: PathInfo): Promise<Registration | undefined> {
  const registered = await readMetadata(layout, hashPartOf(path)).catch(() => undefined);
  if (registered !== undefined && registered.path !== path) throw sameHashPart(registered.path, path);
  return registered;
}

/** Registers a tree that was at its place already. `records` are the files that claim it, which are removed. */
export async function registerFound(
  { layout, temporaryInfoName }: WriterState,
  info: PathInfo,
  records: readonly string[],
): Promise<void> {
  const registered = await registrationOf(layout, info);
  // Metadata that cannot be read are carport's, too.
  const isClaimed = async () => records.length > 0 || (await isThere(infoFile(layout, hashPartOf(info.path))));
  const found = registered === undefined ? !(await isClaimed()) : registered.found === true;
  const metadata = renderMetadata({ ...info, ...(found && { found }) });
  await writeFileAtomic(infoFile(layout, hashPartOf(info.path)), temporaryInfoName(), metadata);
  for (const claim of records) await rm(claim, { force: true });
}

/** Registers a tree that has just got its name, when its claim could not become its metadata: `error` says why. */
export async function registerMoved(state: WriterState, info: PathInfo, claim: string, error: unknown): Promise<void> {
  // Another process has found the tree, registered it, and removed the claim.
  if (isErrno(error, 'ENOENT') && (await isWhole(state, info))) return registerFound(state, info, [claim]);
  throw error;
}

/** Metadata are by hash part: whoever makes up a path must not take another's place. */
function sameHashPart(registered: string, path: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` has the hash part of \`${registered}\`, which is here`, {
    hint:
      'no two store paths share one: either where it is from is damaged or was tampered with, or what is here was made up; ' +
      '`carport store info` shows who signed that, and `carport store gc` removes it when no out-link or pin needs it',
  });
}
