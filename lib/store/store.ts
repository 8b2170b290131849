/** The interface of a local store; reading only. */

import type { PathGraph } from '../nix/closure.js';
import type { PathInfo } from '../nix/path-info.js';
import type { Realisation } from '../nix/realisation.js';

/** A local store: where valid paths lie, and what is known of them. Nothing here writes. */
export interface Store {
  /** The directory that the store's paths name, such as `/nix/store`. */
  readonly storeDir: string;
  /** Where that directory really is: another place for a store that is not at `/`. Several for several stores. */
  readonly realStoreDirs: readonly string[];
  /** For messages: `the system's Nix store`. */
  readonly description: string;
  /** What is known of those of `paths` that are valid here. */
  queryInfos(paths: readonly string[]): Promise<PathGraph>;
  /** The closure of those of `paths` that are valid here, as one query where the store can. */
  queryClosure(paths: readonly string[]): Promise<PathGraph>;
  /** Hash parts of all valid paths, and their paths. */
  queryHashParts(): Promise<ReadonlyMap<string, string>>;
  /** Where a path's content is on disk. */
  realPath(info: Pick<PathInfo, 'path'>): string;
  /** Those realisations of these ids that the store has; absent where it keeps none. */
  queryRealisations?(ids: readonly string[]): Promise<readonly Realisation[]>;
}
