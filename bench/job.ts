/** What a job of the bench is. */

import type { Closures } from './closures.js';
import type { Command, World } from './world.js';

/** What jobs work with. */
export interface Bench {
  readonly world: World;
  readonly closures: Closures;
}

/** One thing that both sides do. */
export interface Job {
  readonly name: string;
  readonly title: string;
  /** How the peer does it. */
  readonly peer: string;
  /** carport's time by the peer's, at most, and where it should get to. */
  readonly bar: { readonly most: number; readonly aim: number };
  /** Prepares what both sides need. */
  open(bench: Bench): Promise<OpenJob>;
}

export interface OpenJob {
  readonly carport: Side;
  readonly peer: Side;
  /** Requests that the server has answered until now. */
  requests?(): Promise<number>;
  close?(): Promise<void>;
}

/** One side of a job. Each run has a directory of its own, which is removed after it. */
export interface Side {
  /** What is not measured. */
  prepare?(directory: string): Promise<void>;
  commands(directory: string): readonly Command[];
  /** Throws unless the commands have done what they should; gives how many objects and bytes there are now. */
  check(directory: string): Promise<Stored>;
}

export interface Stored {
  readonly objects: number;
  readonly bytes: number;
}
