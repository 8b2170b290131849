/** What is to be made of a release, once its gates are passed. */

import type { WriteStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import type { Candidate, ReleaseFile } from '../sources/candidate.js';
import type { Verdict } from './gates/gate.js';
import type { PromotionState } from './state.js';

/** A release that is to be made of another, and by whom. */
export interface MakeRequest {
  readonly candidate: Candidate;
  /** The version that it is to have. */
  readonly version: string;
  readonly state: Exclude<PromotionState, 'done'>;
  /** Remove what an unfinished promotion has left. */
  readonly discard: boolean;
  /** The verdicts of gates that were passed: they are signed with the release. */
  readonly gates: readonly Verdict[];
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  readonly now: Date;
  /** What is new in it, where that is another thing than what was said of the candidate. */
  readonly notes?: string | undefined;
}

/** A file of the new release, and whether it had to be copied. */
export interface PromotedFile extends ReleaseFile {
  readonly state: 'copied' | 'unchanged';
}

/** Keys of what a run has written. */
export interface Made {
  readonly files: Set<string>;
  readonly fragments: Set<string>;
}

/** A run that makes a release: of what, where, what it has written so far, and whom it tells how far it is. */
export interface Making {
  readonly store: WriteStore;
  readonly request: MakeRequest;
  readonly made: Made;
  readonly emit: Emit<ActivityEvent>;
}

/** Files that are copied or read at a time. */
export const FILES_AT_ONCE = 4;

/** Whether there was nothing of the promotion before this run. */
export function isFresh({ state, discard }: MakeRequest): boolean {
  return state === 'new' || discard;
}
