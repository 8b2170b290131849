/** What push and pull tell of their work. */

/** What push and pull tell of their work; reporters in `bin/` turn it into text or JSON. Sizes are bytes. */
export type WorkEvent =
  | {
      /** What will be done, before it is begun. */
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
    }
  | { readonly type: 'path-started'; readonly path: string; readonly narSize: number }
  /** Uncompressed bytes worked through since the last such event. */
  | { readonly type: 'progress'; readonly bytes: number }
  | {
      readonly type: 'path-finished';
      readonly path: string;
      readonly narSize: number;
      readonly fileSize: number | null;
    }
  | {
      readonly type: 'warning';
      readonly message: string;
      /** All outputs that are not here, of which the message may name a few. */
      readonly missingOutputs?: readonly MissingOutput[];
    }
  /** A pin was set. */
  | {
      readonly type: 'pin';
      readonly name: string;
      readonly updatedAt: string;
      readonly storePaths: readonly string[];
      readonly derivations: readonly string[];
    }
  | {
      readonly type: 'summary';
      readonly verb: Verb;
      readonly paths: number;
      readonly present: number;
      /** Paths that were left out because another cache has them. */
      readonly skipped: number;
      readonly transferred: number;
      /** Signatures that were added to paths that were there. */
      readonly signed: number;
      readonly narSize: number;
      /** Compressed bytes sent or received. */
      readonly fileSize: number;
      /** The whole closure, dependencies first. */
      readonly storePaths: readonly string[];
    };

/** An output of a derivation of the closure that is not here; its path is `null` when only a build can tell it. */
export interface MissingOutput {
  readonly derivation: string;
  readonly output: string;
  readonly path: string | null;
}

export type Verb = 'push' | 'pull';
export type Emit = (event: WorkEvent) => void;
