/** A promotion from its wish to its end: what is there of both versions, the gates, the copy. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import type { Project, Promotion } from '../documents/kinds.js';
import { type Candidate, candidateOf, filesOf, type ReleaseFile } from '../sources/candidate.js';
import { type ReleaseSources, readSources } from '../sources/sources.js';
import type { Channel, ChannelRule } from '../version.js';
import { discardPromotion } from './discard.js';
import { askGates } from './gates/ask.js';
import type { GateRules, GateTools, PromotionPlan, Verdict } from './gates/gate.js';
import { makeRelease } from './make.js';
import type { PromotedFile } from './request.js';
import { lookAtVersion, unfinishedPromotion } from './state.js';
import { type PromotionWish, promotedVersion } from './version.js';

/** What is to become of a release, and by whose rules. */
export interface PromotionRequest {
  readonly wish: PromotionWish;
  /** The rules of a project, which may have said something of itself before. Asked once, when that is read. */
  readonly rulesOf: (project: Project | undefined) => PromotionRules;
  /** Signs the new release; empty where nothing is written, or unsigned documents are believed. */
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
  /** Give up what another promotion, or this one, has begun. */
  readonly discard: boolean;
  /** What is new in the release that is made, in place of what was said of this one; asked when its version is known. */
  readonly notesOf?: (version: string) => Promise<string | undefined>;
  /** Change nothing. */
  readonly dryRun: boolean;
}

/** What a project asks of its promotions. */
export interface PromotionRules {
  readonly channelOf: ChannelRule;
  readonly gates: GateRules;
}

/** What a promotion works with, and whom it tells. */
export interface PromotionWork extends Omit<GateTools, 'objects'> {
  readonly emit: Emit<PromotionEvent>;
}

/** What a promotion tells while it is at work; how far it is, of the gate that reads files again, and of the copy. */
export type PromotionEvent =
  /** Sources were read, and something of them is to be told. */
  | { readonly type: 'sources'; readonly warnings: ReleaseSources['warnings'] }
  /** What was made for a version is removed, since its source cannot be promoted any more. */
  | { readonly type: 'freed'; readonly version: string }
  /** The version was begun before, and this goes on. */
  | { readonly type: 'resumed'; readonly version: string }
  | { readonly type: 'verdict'; readonly verdict: Verdict }
  | ActivityEvent;

/** What has become of a promotion; nothing is changed but where it is `promoted`. */
export interface PromotionResult {
  readonly plan: PromotionPlan;
  readonly state: 'promoted' | 'unchanged' | 'planned' | 'refused';
  /** The files of the new release; none where it is refused. */
  readonly files: readonly (ReleaseFile & { readonly state: PromotedFile['state'] | 'planned' })[];
  /** What each gate has said, in the order in which they were asked. */
  readonly gates: readonly Verdict[];
}

/**
 * Makes a release of another, where its gates let it pass. A promotion that was begun before is gone on with. Throws
 * `E_NOT_FOUND` and `E_SIGNATURE` for a release that cannot be promoted, `E_USAGE` for a version that is not clear, or is
 * another's.
 */
export async function promoteRelease(
  objects: ObjectStore,
  request: PromotionRequest,
  work: PromotionWork,
): Promise<PromotionResult> {
  const { wish, policy, keys, dryRun } = request;
  const sources = await readSources(objects, policy, wish.version, { withLedger: true });
  work.emit({ type: 'sources', warnings: sources.warnings });
  const rules = request.rulesOf(sources.project);
  const version = promotedVersion(wish, rules.channelOf);
  const candidate = await candidateOrFree(objects, request, { version, sources, work });
  const plan = { candidate, version, channel: wish.channel };
  const { state, sources: there } = await lookAtVersion(objects, candidate, version, policy);
  work.emit({ type: 'sources', warnings: there.warnings });
  if (state === 'done') return { plan, state: 'unchanged', files: inState('unchanged', plan), gates: [] };
  const unfinished = unfinishedPromotion(there);
  const discard = unfinished !== undefined && request.discard;
  if (unfinished && state === 'abandoned' && !discard) throw abandoned(unfinished, wish.channel);
  if (unfinished && !discard) work.emit({ type: 'resumed', version });
  const notes = await request.notesOf?.(version);
  const tell = (verdict: Verdict) => work.emit({ type: 'verdict', verdict });
  const gates = await askGates(plan, rules.gates, { ...work, objects }, tell);
  if (!gates.every(({ passed }) => passed)) return { plan, state: 'refused', files: [], gates };
  if (dryRun) return { plan, state: 'planned', files: inState('planned', plan), gates };
  const { now } = work;
  const making = { candidate, version, state, discard, gates, keys, policy, now, notes };
  const files = await makeRelease(objects, making, work.emit);
  return { plan, state: 'promoted', files, gates };
}

interface CandidateLook {
  /** The version that is to be made. */
  readonly version: string;
  readonly sources: ReleaseSources;
  readonly work: PromotionWork;
}

/** A promotion whose source has gone cannot be finished, but given up. */
async function candidateOrFree(
  objects: ObjectStore,
  { wish, policy, discard, dryRun }: PromotionRequest,
  { version, sources, work }: CandidateLook,
): Promise<Candidate> {
  try {
    return candidateOf(wish.version, sources);
  } catch (error) {
    const isFreed = discard && !dryRun && (await discardPromotion(objects, version, policy, wish.version));
    if (isFreed) work.emit({ type: 'freed', version });
    throw error;
  }
}

function inState<State extends string>(state: State, { candidate, version }: PromotionPlan) {
  return filesOf(version, candidate.fragments).map((file) => ({ ...file, state }));
}

function abandoned({ version, from }: Promotion, channel: Channel): CarportError {
  return new CarportError('E_USAGE', `\`${version}\` was begun to be made of \`${from}\``, {
    hint: `finish that with \`carport release promote ${from} --to ${channel} --as ${version}\`, or give it up: with \`--discard\` what was copied for it is removed`,
  });
}
