/** The command `release prune`. */

import { CarportError } from '../../lib/errors.js';
import { buildReleaseIndex, hiddenVersions } from '../../release/catalog/build.js';
import { latestOf } from '../../release/catalog/latest.js';
import { ownRules } from '../../release/catalog/rules.js';
import type { KeptReason, PrunableChannel, PrunedRelease, PrunePlan } from '../../release/prune/plan.js';
import { type PruneRequest, type PruneStep, planPrune, prune as pruneReleases } from '../../release/prune/prune.js';
import { settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { parseSpan } from '../settings/duration.js';
import { requireCache } from '../settings/places.js';
import type { Settings } from '../settings/settings.js';
import { withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf, signingOf } from './settings.js';

export interface PruneOptions extends CommonOptions {
  readonly channel: PrunableChannel;
  readonly keep?: number;
  /** Spans, as they were typed. */
  readonly keepWithin?: string;
  readonly grace: string;
  readonly delete?: boolean;
  readonly allowUnsigned?: boolean;
  readonly allowLostSignatures?: boolean;
}

export async function prune(options: PruneOptions, context: Context): Promise<void> {
  const rules = rulesOf(options);
  const settings = await settingsOf({ ...options }, context);
  const trust = options.delete ? await signingOf(settings, options) : await releaseTrustOf(settings, options);
  const { policy, allowLost } = trust;
  checkChannelRule(settings);
  const request = { ...rules, policy, now: Date.now(), allowLost, look: lookAs(settings, options.channel) };
  const warn = (message: string) => note(context, options, `warning: ${message}`);
  await withCache(requireCache(settings.to), { context, settings, warn }, async ({ objects }) => {
    const planned = await planPrune(objects, request);
    const { plan } = planned;
    const warnings = [...planned.warnings, ...stillPublished(plan)];
    sayWarnings(context, warnings);
    const steps = options.delete ? pruneReleases(objects, planned, request, trust.keys) : stepsOf(plan);
    const done = await tell(steps, options, context);
    if (options.json) await writeJson(context.stdout, { ...summaryJson(done, plan, options), warnings });
    tellTotals(done, plan, options, context);
  });
}

function rulesOf({ channel, keep, keepWithin, grace }: PruneOptions) {
  if (keep === undefined && keepWithin === undefined) {
    throw new CarportError('E_USAGE', 'it is not said which releases stay', {
      hint: 'give `--keep NUMBER` for the newest, `--keep-within SPAN` for the younger ones, or both: `--keep 20 --keep-within 30d`',
    });
  }
  return {
    ...{ channel, keep: keep ?? 0 },
    keepWithin: keepWithin === undefined ? 0 : parseSpan(keepWithin, '--keep-within'),
    grace: parseSpan(grace, '--grace'),
  };
}

/** The order and the times are those of the index, of which hidden releases are no part. */
function lookAs(settings: Settings, channel: PrunableChannel): PruneRequest['look'] {
  return (sources) => {
    const used = withRemembered(settings, sources.project);
    const channelOf = channelRuleOf(used);
    const { index } = buildReleaseIndex({ ...sources, promotions: [], prunings: [] }, ownRules(channelOf));
    const releases = index.releases[channel];
    const hidden = hiddenVersions(sources);
    const visible = releases.filter(({ version }) => !hidden.has(version));
    const latest = latestOf(visible, used['required-targets'].values);
    return { channelOf, releases, latest: new Set(latest ? [latest.version] : []) };
  };
}

/** What would be done. */
async function* stepsOf(plan: PrunePlan): AsyncGenerator<PruneStep> {
  for (const action of ['restore', 'hide', 'delete'] as const) {
    for (const release of plan[action]) yield { action, release };
  }
}

type Done = Readonly<Record<PruneStep['action'], readonly PrunedRelease[]>>;

/** Prints each step when it is done. */
async function tell(steps: AsyncIterable<PruneStep>, options: PruneOptions, context: Context): Promise<Done> {
  const done: Record<PruneStep['action'], PrunedRelease[]> = { restore: [], hide: [], delete: [], left: [] };
  for await (const { action, release } of steps) {
    done[action].push(release);
    if (action === 'left') note(context, options, `\`${release.version}\` has changed meanwhile, and is left as it is`);
    else if (!options.json) await writeLines(context.stdout, [`${action} ${release.version}`]);
  }
  return done;
}

function stillPublished({ published }: PrunePlan): readonly string[] {
  if (published.length === 0) return [];
  const amount = count(published.length, 'release');
  return [`${amount} may still be in the index that is published: run \`carport index publish\`, then this again`];
}

function summaryJson(done: Done, plan: PrunePlan, options: PruneOptions) {
  return {
    hidden: done.hide.map(releaseJson),
    deleted: done.delete.map(releaseJson),
    restored: done.restore.map(releaseJson),
    left: done.left.map(releaseJson),
    waiting: [...plan.waiting, ...plan.published].map(releaseJson),
    kept: plan.kept,
    dryRun: !options.delete,
  };
}

function releaseJson({ version, time, size, held }: PrunedRelease) {
  return { version, time, size, files: held.files.length };
}

const REASONS: Readonly<Record<KeptReason, string>> = {
  newest: 'newest',
  young: 'young',
  latest: 'latest',
  promotion: 'promoted',
  pin: 'pinned',
  'being-put': 'put just now',
  'half-deleted': 'put while being deleted',
  name: 'with an odd name',
};

function tellTotals(done: Done, plan: PrunePlan, options: PruneOptions, context: Context): void {
  const tellOne = (text: string) => note(context, options, text);
  const sizeOf = (releases: readonly PrunedRelease[]) =>
    formatBytes(releases.reduce((sum, release) => sum + release.size, 0));
  const total = (what: string, releases: readonly PrunedRelease[]) => {
    if (releases.length > 0) tellOne(`${what}: ${count(releases.length, 'release')} (${sizeOf(releases)})`);
  };
  if (options.verbose) for (const { version, why } of plan.kept) tellOne(`kept \`${version}\`: ${why}`);
  total('hide', done.hide);
  total('delete', done.delete);
  total('restore', done.restore);
  total('wait for their deletion', plan.waiting);
  const reasons = (Object.keys(REASONS) as KeptReason[]).flatMap((reason) => {
    const kept = plan.kept.filter((each) => each.reason === reason).length;
    return kept > 0 ? [`${kept} ${REASONS[reason]}`] : [];
  });
  tellOne(`kept: ${count(plan.kept.length, 'release')}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`);
  if (!options.delete) tellOne('nothing was changed: `--delete` does it');
  else if (done.hide.length + done.restore.length > 0) tellOne('`carport index publish` shows it');
}
