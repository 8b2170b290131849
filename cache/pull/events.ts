/** What a pull tells of its work. */

import type { Emit } from '../../lib/work.js';
import type { TransferEvent } from '../transfer-events.js';

/** A pin stands for something else than when it was pulled last from this cache. */
interface MovedPinEvent {
  readonly type: 'pin-moved';
  /** As it was asked for. */
  readonly pin: string;
  /** When the pin was written that was pulled last, and the one of now; ISO 8601. */
  readonly before: string;
  readonly now: string;
  readonly storePaths: readonly string[];
}

/** What a pull tells of its work. */
export type PullEvent = TransferEvent<'pull'> | ToolchainEvent | MovedPinEvent;

/** The pin of a toolchain stands for something else than what is locked and was pulled. */
export interface ToolchainEvent {
  readonly type: 'toolchain';
  readonly name: string;
  readonly pin: string;
  /** Since when the pin stood for what is locked, and for what it stands now; ISO 8601. */
  readonly locked: string;
  readonly newest: string;
}

/** Holds what is told of paths, until it is released; notices are told at once. */
export function holdEvents(emit: Emit<PullEvent>) {
  let held: PullEvent[] | undefined = [];
  const hold = (events: PullEvent[], event: PullEvent): void => {
    const last = events.at(-1);
    // Bytes come in many pieces.
    if (event.type !== 'progress' || last?.type !== 'progress') events.push(event);
    else events[events.length - 1] = { type: 'progress', bytes: last.bytes + event.bytes };
  };
  return {
    emit: (event: PullEvent): void => {
      if (held === undefined || event.type === 'warning') emit(event);
      else hold(held, event);
    },
    release: (): void => {
      for (const event of held ?? []) emit(event);
      held = undefined;
    },
  };
}
