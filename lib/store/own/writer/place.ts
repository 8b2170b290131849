/** Gives finished trees their store paths, beside other processes that may do the same. */

import { rm } from 'node:fs/promises';
import { isErrno } from '../../../errors.js';
import { isThere } from '../../../filesystem/exists.js';
import { moveFile, writeThenMove } from '../../../filesystem/small-files.js';
import { removeTree } from '../../../filesystem/temporary.js';
import type { PathInfo } from '../../../nix/path-info.js';
import { baseNameOf, hashPartOf } from '../../../nix/store-path.js';
import type { Placement, Ticket } from '../../../workers/jobs.js';
import { infoFile, realPathIn } from '../layout.js';
import { renderMetadata } from '../metadata.js';
import { claimedHashParts } from '../ownership-records.js';
import { isWhole, registerFound, registerMoved, registrationOf } from './register.js';
import type { WriterState } from './state.js';

/** How often a place is cleared for a tree: other processes may put damaged trees or whole ones there meanwhile. */
const PLACE_ATTEMPTS = 20;

/** Gives a tree its store path and registers it, unless a whole one is registered. The temporary name is free then. */
export async function placeTree(state: WriterState, temporary: string, info: PathInfo): Promise<void> {
  const { layout, names, claimed } = state;
  const registered = await registrationOf(layout, info);
  // Another process was faster; with other signed content even, what is registered stays.
  if (registered !== undefined && (await isWhole(state, registered))) return removeTree(temporary);
  // A file would take the place of another without a word.
  if (registered === undefined && names.has(baseNameOf(info.path)) && (await isWhole(state, info))) {
    await removeTree(temporary);
    return registerFound(state, info, claimed.get(hashPartOf(info.path)) ?? []);
  }
  await moveWithClaim(state, temporary, info);
}

/**
 * How a thread may give the tree of a path its name and register it, without asking again; `undefined` where something was
 * at its place when the writer was made.
 */
export function placementOf({ layout, names, nextRecord }: WriterState, info: PathInfo): Placement | undefined {
  if (names.has(baseNameOf(info.path))) return undefined;
  const hashPart = hashPartOf(info.path);
  return {
    path: realPathIn(layout, info.path),
    claim: nextRecord(hashPart),
    content: renderMetadata(info),
    metadata: infoFile(layout, hashPart),
  };
}

/** A temporary name for a path, under which a thread may make it; `undefined` as of `placementOf`. */
export function ticketOf({ layout, names, temporaryName }: WriterState, path: string): Ticket | undefined {
  const baseName = baseNameOf(path);
  return names.has(baseName)
    ? undefined
    : { baseName, temporary: temporaryName().slice(layout.realStoreDir.length + 1) };
}

/** Registers a tree that a thread has moved to its place, when its claim could not become its metadata. */
export async function settlePlacement(
  state: WriterState,
  info: PathInfo,
  { claim, metadata }: Pick<Placement, 'claim' | 'metadata'>,
): Promise<void> {
  await moveFile(claim, metadata).catch((error) => registerMoved(state, info, claim, error));
}

/** Claims the path, moves the tree to it, and makes the claim its metadata. */
async function moveWithClaim(state: WriterState, temporary: string, info: PathInfo): Promise<void> {
  const { layout } = state;
  const hashPart = hashPartOf(info.path);
  const claim = state.nextRecord(hashPart);
  const metadata = infoFile(layout, hashPart);
  try {
    const moves = [[temporary, realPathIn(layout, info.path)] as const, [claim, metadata] as const];
    return await writeThenMove(claim, renderMetadata(info), moves);
  } catch (error) {
    // When the tree has its name already, the claim says whose it is.
    if (!(await isThere(temporary))) return registerMoved(state, info, claim, error);
    if (!isOccupied(error)) {
      await rm(claim, { force: true });
      throw error;
    }
  }
  const moved = await moveIntoPlace(state, temporary, info).catch(async (error) => {
    await rm(claim, { force: true });
    throw error;
  });
  if (moved) return moveFile(claim, metadata).catch((error) => registerMoved(state, info, claim, error));
  await rm(claim, { force: true });
  // In this order: a claim of another process becomes its metadata.
  await registerFound(state, info, (await claimedHashParts(layout)).get(hashPart) ?? []);
}

/** Moves a tree to its place, unless a whole one is there. Tells whether it did. */
async function moveIntoPlace(state: WriterState, temporary: string, info: PathInfo): Promise<boolean> {
  const path = realPathIn(state.layout, info.path);
  for (let attempt = 1; ; attempt++) {
    try {
      await moveFile(temporary, path);
      return true;
    } catch (error) {
      if (!isOccupied(error) || attempt === PLACE_ATTEMPTS) throw error;
    }
    if (await isWhole(state, info)) {
      await removeTree(temporary);
      return false;
    }
    await moveAside(path, state.temporaryName());
  }
}

async function moveAside(path: string, aside: string): Promise<void> {
  try {
    await moveFile(path, aside);
  } catch (error) {
    // Another process was faster.
    if (!isErrno(error, 'ENOENT')) throw error;
  }
  await removeTree(aside);
}

/** Something is where a tree is to be. */
function isOccupied(error: unknown): boolean {
  return isErrno(error, 'EEXIST', 'ENOTEMPTY', 'EISDIR', 'ENOTDIR');
}
