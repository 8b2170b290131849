/** What a gate is asked and says. */

import type { ObjectStore } from '../../../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../../../lib/work.js';
import type { Candidate } from '../../sources/candidate.js';

/** What one gate says of a promotion. */
export interface Verdict {
  readonly gate: string;
  readonly passed: boolean;
  /** What was found; it is published with the release. */
  readonly detail: string;
}

/** A promotion that gates are asked about. */
export interface PromotionPlan {
  readonly candidate: Candidate;
  /** The version that it is to have, and the channel of that. */
  readonly version: string;
  readonly channel: string;
}

/** What must be so for every promotion of a project. */
export interface GateRules {
  readonly requiredTargets: readonly string[];
  readonly minimumAgeMs?: number;
  /** A branch that must have the commit. */
  readonly ancestorOf?: string;
  /** Command lines for a shell. */
  readonly commands: readonly string[];
  /** How long each of these may take. */
  readonly commandSeconds: number;
}

/** What gates look at and work with. */
export interface GateTools {
  readonly objects: ObjectStore;
  readonly now: Date;
  /** Of programs: where they run, and with what. */
  readonly directory: string;
  readonly env: NodeJS.ProcessEnv;
  /** Told how far a gate is that takes long. */
  readonly emit: Emit<ActivityEvent>;
  /** Ends what runs. */
  readonly signal: AbortSignal;
  /** Takes what a program prints on one of its outputs, until that ends. Does not throw. */
  show(output: AsyncIterable<Uint8Array>): Promise<void>;
}

/** Asks one thing. Throws when there is no answer to be had. */
export type Gate = (plan: PromotionPlan, rules: GateRules, tools: GateTools) => Promise<Verdict>;

export function passed(gate: string, detail: string): Verdict {
  return { gate, passed: true, detail };
}

export function failed(gate: string, detail: string): Verdict {
  return { gate, passed: false, detail };
}

const NAMES_SHOWN = 3;

/** The first few of many names. */
export function someOf(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  const shown = names.slice(0, NAMES_SHOWN).map((name) => `\`${name}\``);
  return `${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
