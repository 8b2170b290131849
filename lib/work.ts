/** Work: whom it tells how far it is, and what stops it. */

import type { Notice } from './notice.js';

/** What work is given by whoever starts it. `Event` is what it may tell. */
export interface Work<Event> {
  readonly emit: Emit<Event>;
  /** Aborted when the work shall end early. */
  readonly signal: AbortSignal;
}

/** Takes events as they happen; never throws, and nobody waits for it. */
export type Emit<Event> = (event: Event) => void;

/** A notice among events: the work goes on all the same. */
export type WarningEvent = { readonly type: 'warning' } & Notice;

/** Bytes that were worked through since the last such event. */
export interface ProgressEvent {
  readonly type: 'progress';
  readonly bytes: number;
}

/** What work that takes long tells of itself, whatever it works through: paths, files, objects. Sizes are bytes. */
export type ActivityEvent =
  | ({ readonly type: 'started' } & Activity)
  /** One of many is begun; a label for people, such as its path or key. */
  | { readonly type: 'item-started'; readonly name: string; readonly size?: number }
  /** Bytes that were worked through since the last such event, or items that are done and have no events of their own. */
  | { readonly type: 'progress'; readonly bytes?: number; readonly items?: number }
  | { readonly type: 'item-finished'; readonly name: string; readonly size?: number }
  | WarningEvent;

/** What is worked through, as far as that is known when it is begun. */
export interface Activity {
  /** What is done, in one word: `verify`, `erase`, `put`. */
  readonly verb: string;
  /** What is counted, in the plural: `paths`, `files`, `objects`. */
  readonly unit: string;
  /** How many there are. */
  readonly items?: number;
  /** What they are together. */
  readonly bytes?: number;
}
