/** The writer of carport's own store. */

import type { PathInfo } from '../../../nix/path-info.js';
import { baseNameOf, hashPartOf } from '../../../nix/store-path.js';
import type { Placement, StoreDirs, Ticket } from '../../../workers/jobs.js';
import type { OwnStore } from '../own-store.js';
import { placementOf, placeTree, settlePlacement, ticketOf } from './place.js';
import { isWhole, registerFound } from './register.js';
import { type HashTree, openWriterState } from './state.js';

/** Puts new paths into an own store. */
export interface StoreWriter {
  /** A name inside the store dir for a tree that is being made; it must be renamed or removed by the caller. */
  temporaryName(): string;
  /**
   * Gives a finished, checked tree its store path and registers it. Its references must be registered already. Safe
   * beside other processes that add the same path: one tree wins, and it is whole.
   */
  place(temporary: string, info: PathInfo): Promise<void>;
  /**
   * How a thread may give the path's tree its name, and register it so, when its references are registered; `undefined` where
   * only `place` may.
   */
  placement(info: PathInfo): Placement | undefined;
  /** A temporary name under which a thread may make the path; `undefined` where only `place` may. */
  ticket(path: string): Ticket | undefined;
  /** Where threads make what they have tickets for. */
  readonly storeDirs: StoreDirs;
  /** Ends what a thread has left as `moved`. */
  settle(info: PathInfo, placement: Pick<Placement, 'claim' | 'metadata'>): Promise<void>;
  /** Whether something was at the path's place when the writer was made: a killed run may have left it. */
  hasLeft(path: string): boolean;
  /** Whether the tree that is at a store path is what `info` says. */
  isWhole(info: PathInfo): Promise<boolean>;
  /** Registers a path whose tree is at its place and whole: a killed run left it so. */
  register(info: PathInfo): Promise<void>;
}

/** Makes a writer, which begins with tidying up what killed processes left. */
export async function createStoreWriter({ layout }: OwnStore, hash: HashTree): Promise<StoreWriter> {
  const state = await openWriterState(layout, hash);
  const { names, claimed } = state;
  return {
    temporaryName: state.temporaryName,
    place: (temporary, info) => placeTree(state, temporary, info),
    placement: (info) => placementOf(state, info),
    ticket: (path) => ticketOf(state, path),
    storeDirs: layout,
    settle: (info, placement) => settlePlacement(state, info, placement),
    hasLeft: (path) => names.has(baseNameOf(path)),
    isWhole: (info) => isWhole(state, info),
    register: (info) => registerFound(state, info, claimed.get(hashPartOf(info.path)) ?? []),
  };
}
