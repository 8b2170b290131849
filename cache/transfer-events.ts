/** What push and pull both tell of the paths that they move. */

import type { ProgressEvent, WarningEvent } from '../lib/work.js';

/** Events of a transfer of store paths, in the order of the plan, the work and the summary. Sizes are bytes. */
export type TransferEvent<Verb extends 'push' | 'pull'> =
  | PlanEvent<Verb>
  | { readonly type: 'path-started'; readonly path: string; readonly narSize: number }
  /** Uncompressed bytes. */
  | ProgressEvent
  | PathFinishedEvent
  | WarningEvent
  | SummaryEvent<Verb>;

/** What will be done, before it is begun. */
export interface PlanEvent<Verb> {
  readonly type: 'plan';
  readonly verb: Verb;
  /** Paths of the closure. */
  readonly paths: number;
  /** Paths that are there already. */
  readonly present: number;
  /** Paths that were left out because another cache has them. */
  readonly skipped: number;
  /** Paths to transfer, and their uncompressed size. */
  readonly transfer: number;
  readonly narSize: number;
  /** Paths to transfer, dependencies first. */
  readonly storePaths: readonly string[];
  /** Only roots are counted: what they refer to was not looked at. */
  readonly isOfRoots?: boolean;
  /** Of a pull that takes what it can from paths that are here: compressed bytes that are fetched of NARs, and bytes of NARs that are here. */
  readonly fetchSize?: number;
  readonly hereSize?: number;
}

/** A path is where it shall be. */
export interface PathFinishedEvent {
  readonly type: 'path-finished';
  readonly path: string;
  readonly narSize: number;
  readonly fileSize: number | null;
}

/** What was done. */
export interface TransferSummary {
  /** Paths of the closure. */
  readonly paths: number;
  /** Paths that were there already. */
  readonly present: number;
  /** Paths that were left out because another cache has them. */
  readonly skipped: number;
  readonly transferred: number;
  /** Signatures that were added to paths that were there. */
  readonly signed: number;
  /** Uncompressed bytes of what was transferred. */
  readonly narSize: number;
  /** Compressed bytes sent or received. */
  readonly fileSize: number;
  /** The whole closure, dependencies first. */
  readonly storePaths: readonly string[];
  /** As in `PlanEvent`; then `storePaths` is empty. */
  readonly isOfRoots?: boolean;
  /** As in `PlanEvent`. */
  readonly fetchSize?: number;
  readonly hereSize?: number;
}

/** The last event of a transfer. */
export interface SummaryEvent<Verb> extends TransferSummary {
  readonly type: 'summary';
  readonly verb: Verb;
}
