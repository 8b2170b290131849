/** What is told to threads of NARs that are made of what is here, and what they tell of that. */

import type { Cutting } from '../../../compression/chunks/density.js';
import type { NotedReferences } from '../../../compression/chunks/references.js';

/** How a NAR is made of trees that are here and of frames that the caller streams in. */
export interface Assembly extends LocalTrees {
  /** The NAR in order. */
  readonly parts: readonly AssemblyPart[];
  /** The first bytes of the NAR are those of a tree that is there already, in which it is gone on. */
  readonly there?: { readonly path: string; readonly size: number };
}

/** What parts of a NAR are made of that are here. */
export interface LocalTrees {
  readonly trees: readonly LocalTree[];
  /** Hash parts that stand in the NAR. */
  readonly list: readonly string[];
}

/** A store path that is here. */
export interface LocalTree {
  /** Where it is on disk. */
  readonly path: string;
  /** Hash parts of what it refers to, and its own. */
  readonly list: readonly string[];
  /** Somebody was stopped who made it, of the very NAR that is wanted. */
  readonly isBegun?: boolean;
}

/** Bytes of a NAR: of frames that are fetched, or a chunk of a tree's NAR with other hash parts. */
export interface AssemblyPart {
  readonly size: number;
  readonly from?: { readonly tree: number; readonly offset: number; readonly references: NotedReferences };
}

/** Cuts the NAR of a path that is here as a push does, or did. */
export interface IndexChunksJob extends LocalTree {
  readonly type: 'index-chunks';
  readonly cutting: Cutting;
  readonly narSize: number;
  /** Chunks that end in the first `to` bytes, and those after `from` only, as if one began there. */
  readonly piece?: { readonly from: number; readonly to: number };
  /** How the NAR is cut of which the tree was begun: it may have less than that. */
  readonly whole?: LocalChunks;
}

/** Chunks of a NAR that is here, in order. */
export interface LocalChunks {
  readonly cutting: Cutting;
  readonly sizes: Uint32Array;
  /** The hash of each one's view, one after another. */
  readonly hashes: Uint8Array;
}
