/** The command `release promote`. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Promotion } from '../../release/documents/kinds.js';
import { askGates } from '../../release/promote/gates/ask.js';
import type { PromotionPlan, Verdict } from '../../release/promote/gates/gate.js';
import {
  discardPromotion,
  lookAtVersion,
  type PromotedFile,
  promoteRelease,
  unfinishedPromotion,
} from '../../release/promote/promote.js';
import { checkWish, type PromotionWish, promotedVersion } from '../../release/promote/version.js';
import { type Candidate, candidateOf, filesOf } from '../../release/sources/candidate.js';
import { type ReleaseSources, readSources } from '../../release/sources/sources.js';
import type { Channel } from '../../release/version.js';
import { settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, note, say, writeJson, writeLines } from '../cli/context.js';
import { interruptible } from '../cli/interrupt.js';
import { printableLine } from '../cli/printable.js';
import { showOn } from '../cli/program-output.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { cacheUse, withCache } from '../cli/with-caches.js';
import { requireCache } from '../settings/places.js';
import type { Settings } from '../settings/settings.js';
import { gateRulesOf } from './gate-rules.js';
import { tellRemembered, withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkChannelRule, type ReleaseTrust, releaseTrustOf, signingOf } from './settings.js';

export interface PromoteOptions extends CommonOptions {
  /** The channel: unlike elsewhere it is no cache. */
  readonly to: Channel;
  readonly as?: string;
  readonly cache?: string;
  readonly discard?: boolean;
  readonly dryRun?: boolean;
  readonly allowUnsigned?: boolean;
}

export async function promote(version: string, options: PromoteOptions, context: Context): Promise<void> {
  const { to: channel, as, cache, dryRun } = options;
  const { to: _, ...rest } = options;
  const settings = await settingsOf(rest, context);
  const url = requireCache(cache === undefined ? settings.to : { values: [cache], origin: '--cache' }, 'to', '--cache');
  const wish = { version, channel, ...(as !== undefined && { as }) };
  checkWish(wish);
  checkChannelRule(settings);
  gateRulesOf(settings);
  const trust = await (dryRun ? releaseTrustOf : signingOf)(settings, options);
  // Programs of gates end with this; requests of the cache do so by themselves.
  const stop = new AbortController();
  await interruptible(
    () => stop.abort(),
    () =>
      withCache(url, cacheUse(settings, options, context), ({ objects }) =>
        run({ objects, wish, settings, trust, signal: stop.signal }, options, context),
      ),
  );
}

interface PromotionRun {
  readonly objects: ObjectStore;
  readonly wish: PromotionWish;
  readonly settings: Settings;
  readonly trust: ReleaseTrust;
  readonly signal: AbortSignal;
}

async function run(work: PromotionRun, options: PromoteOptions, context: Context): Promise<void> {
  const { objects, wish, settings, trust, signal } = work;
  const { version } = wish;
  const { policy, keys } = trust;
  const sources = await readSources(objects, policy, version, { withLedger: true });
  sayWarnings(context, sources.warnings);
  // The channels are those of the index, and so are the targets that a release must have.
  const used = withRemembered(settings, sources.project);
  const remembered = tellRemembered(used, ['stable-pattern', 'required-targets']);
  if (remembered !== undefined) note(context, options, remembered);
  const promoted = promotedVersion(wish, channelRuleOf(used));
  const rules = gateRulesOf(used);
  const candidate = await candidateOrFree(work, promoted, sources, options, context);
  const { state, sources: there } = await lookAtVersion(objects, candidate, promoted, policy);
  sayWarnings(context, there.warnings);
  const plan = { candidate, version: promoted, channel: options.to };
  if (state === 'done') {
    note(context, options, `\`${promoted}\` is \`${version}\` already: nothing to do`);
    return report({ plan, state: 'unchanged', files: unchangedFiles(plan), gates: [] }, options, context);
  }
  const unfinished = unfinishedPromotion(there);
  const discard = unfinished !== undefined && options.discard === true;
  if (unfinished && state === 'abandoned' && !discard) throw abandoned(unfinished, options.to);
  if (unfinished && !discard) note(context, options, `\`${promoted}\` was begun before: going on`);
  const now = new Date();
  const tools = { objects, now, directory: process.cwd(), env: context.env, signal, show: showOn(context.stderr) };
  const gates = await askGates(plan, rules, tools, (verdict) => tell(verdict, options, context));
  const failed = gates.filter((each) => !each.passed);
  if (failed.length > 0) {
    if (options.json) await report({ plan, state: 'refused', files: [], gates }, options, context);
    throw refused(version, failed);
  }
  const files = filesOf(promoted, candidate.fragments);
  const amount = `${count(files.length, 'file')}, ${formatBytes(files.reduce((sum, { size }) => sum + size, 0))}`;
  if (options.dryRun) {
    note(context, options, `nothing was changed; \`${promoted}\` would be \`${version}\`: ${amount}`);
    const planned = files.map((file) => ({ ...file, state: 'planned' as const }));
    return report({ plan, state: 'planned', files: planned, gates }, options, context);
  }
  const request = { candidate, version: promoted, state, discard, gates, keys, policy, now };
  const copied = await promoteRelease(objects, request);
  note(context, options, `\`${promoted}\` is \`${version}\`: ${amount}; \`carport index publish\` shows it`);
  await report({ plan, state: 'promoted', files: copied, gates }, options, context);
}

/** A promotion whose source has gone cannot be finished, but given up. */
async function candidateOrFree(
  { objects, wish: { version }, trust }: PromotionRun,
  promoted: string,
  sources: ReleaseSources,
  { discard, dryRun, ...options }: PromoteOptions,
  context: Context,
): Promise<Candidate> {
  try {
    return candidateOf(version, sources);
  } catch (error) {
    const isFreed = discard && !dryRun && (await discardPromotion(objects, promoted, trust.policy, version));
    if (isFreed) note(context, options, `what was made for \`${promoted}\` is removed: the name is free`);
    throw error;
  }
}

function tell({ gate, passed, detail }: Verdict, options: CommonOptions, context: Context): void {
  const line = `${passed ? 'passed' : 'FAILED'}  ${gate}: ${detail}`;
  if (passed) note(context, options, line);
  else say(context, `${printableLine(line)}\n`);
}

function refused(version: string, failed: readonly Verdict[]): CarportError {
  const names = failed.map(({ gate }) => `\`${gate}\``).join(', ');
  return new CarportError('E_GATE', `\`${version}\` does not pass ${count(failed.length, 'gate')}: ${names}`, {
    hint: 'nothing was changed; what each of them found is said above',
  });
}

function abandoned({ version, from }: Promotion, channel: Channel): CarportError {
  return new CarportError('E_USAGE', `\`${version}\` was begun to be made of \`${from}\``, {
    hint: `finish that with \`carport release promote ${from} --to ${channel} --as ${version}\`, or give it up: with \`--discard\` what was copied for it is removed`,
  });
}

interface Report {
  readonly plan: PromotionPlan;
  readonly state: 'promoted' | 'unchanged' | 'planned' | 'refused';
  readonly files: readonly (Omit<PromotedFile, 'state'> & { readonly state: PromotedFile['state'] | 'planned' })[];
  readonly gates: readonly Verdict[];
}

function unchangedFiles({ candidate, version }: PromotionPlan): readonly PromotedFile[] {
  return filesOf(version, candidate.fragments).map((file) => ({ ...file, state: 'unchanged' }));
}

async function report({ plan, state, files, gates }: Report, options: CommonOptions, context: Context): Promise<void> {
  const keys = files.map(({ key }) => key).sort();
  if (!options.json) return writeLines(context.stdout, keys);
  const { candidate, version, channel } = plan;
  await writeJson(context.stdout, {
    promotion: {
      ...{ version, channel, from: candidate.version, state },
      files: files.map(({ key, target, name, size, sha256, state }) => ({ key, target, name, size, sha256, state })),
      gates,
    },
  });
}
