/** What a pull tells of its work. */

import type { TransferEvent } from '../transfer-events.js';

/** What a pull tells of its work. */
export type PullEvent = TransferEvent<'pull'> | ToolchainEvent;

/** The pin of a toolchain stands for something else than what is locked and was pulled. */
export interface ToolchainEvent {
  readonly type: 'toolchain';
  readonly name: string;
  readonly pin: string;
  /** Since when the pin stood for what is locked, and for what it stands now; ISO 8601. */
  readonly locked: string;
  readonly newest: string;
}
