/** What a push tells of its work. */

import type { WarningEvent } from '../../lib/work.js';
import type { TransferEvent } from '../transfer-events.js';

/** What a push tells of its work. */
export type PushEvent = TransferEvent<'push'> | PinEvent | ClosureWarning;

/** A pin was set. */
export interface PinEvent {
  readonly type: 'pin';
  readonly name: string;
  readonly updatedAt: string;
  readonly storePaths: readonly string[];
  readonly derivations: readonly string[];
}

/** A warning of what is in a closure, or is not. */
export type ClosureWarning = WarningEvent & {
  /** All outputs that are not here, of which the message may name a few. */
  readonly missingOutputs?: readonly MissingOutput[];
};

/** An output of a derivation of the closure that is not here; its path is `null` when only a build can tell it. */
export interface MissingOutput {
  readonly derivation: string;
  readonly output: string;
  readonly path: string | null;
}
