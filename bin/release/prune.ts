/** The command `release prune`. */

import { CarportError } from '../../lib/errors.js';
import { messagesOf, type Notice } from '../../lib/notice.js';
import { PRUNINGS, versionKey } from '../../release/layout.js';
import type { KeptRelease, PrunedRelease, PrunePlan } from '../../release/prune/plan.js';
import {
  type PruneRequest,
  type PruneStep,
  planPrune,
  prune as pruneReleases,
  stepsOf,
} from '../../release/prune/session.js';
import { confirmProjectCache } from '../cli/confirm.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { pruneRulesOf } from '../retention/releases.js';
import { requireCache } from '../settings/places.js';
import type { PruneOptions } from './command.js';
import { withRemembered } from './remembered-settings.js';
import { channelRuleOf, checkChannelRule, releaseTrustOf, signingOf } from './settings.js';

export async function prune(options: PruneOptions, context: Context): Promise<void> {
  if (options.apply && options.dryRun) {
    throw new CarportError('E_USAGE', '`--apply` and `--dry-run` exclude each other');
  }
  const rules = await pruneRulesOf(options, context);
  const { settings } = options;
  const trust = options.apply ? await signingOf(settings, options) : await releaseTrustOf(settings, options);
  const { policy, allowLost } = trust;
  checkChannelRule(settings);
  const request = { policy, now: Date.now(), allowLost, rulesOf: rulesOfProject(options) };
  const url = requireCache(settings.to);
  if (options.apply) await confirmProjectCache(settings.to, options, context);
  await withCache(url, { options, context }, async ({ objects }) => {
    const done: Done = { restore: [], hide: [], delete: [], left: [] };
    const plans: PrunePlan[] = [];
    const warnings: Notice[] = [];
    for (const ofChannel of rules) {
      const asked = { ...ofChannel, ...request };
      const planned = await planPrune(objects, asked);
      plans.push(planned.plan);
      const found = [...planned.warnings, ...stillPublished(planned.plan)];
      const news = found.filter(({ message }) => !warnings.some((warning) => warning.message === message));
      sayWarnings(context, news);
      warnings.push(...news);
      await tell(
        options.apply ? pruneReleases(objects, planned, asked, trust.keys) : stepsOf(planned.plan),
        done,
        options,
        context,
      );
    }
    const plan = joined(plans);
    if (options.json)
      await writeJson(context.stdout, { ...summaryJson(done, plan, options), warnings: messagesOf(warnings) });
    tellTotals(done, plan, options, context);
  });
}

/** What is planned of several channels. */
function joined(plans: readonly PrunePlan[]): PrunePlan {
  return {
    hide: plans.flatMap(({ hide }) => hide),
    delete: plans.flatMap((plan) => plan.delete),
    restore: plans.flatMap(({ restore }) => restore),
    waiting: plans.flatMap(({ waiting }) => waiting),
    published: plans.flatMap(({ published }) => published),
    kept: plans.flatMap(({ kept }) => kept),
  };
}

/** The rules of the project: what is set, and what the index remembers where nothing is. */
function rulesOfProject({ settings }: PruneOptions): PruneRequest['rulesOf'] {
  return (project) => {
    const used = withRemembered(settings, project);
    return { channelOf: channelRuleOf(used), requiredTargets: used['required-targets'].value };
  };
}

type Done = Record<PruneStep['action'], PrunedRelease[]>;

/** Prints each step when it is done, and notes it in `done`. */
async function tell(
  steps: AsyncIterable<PruneStep> | Iterable<PruneStep>,
  done: Done,
  options: PruneOptions,
  context: Context,
): Promise<void> {
  for await (const { action, release } of steps) {
    done[action].push(release);
    if (action === 'left') note(context, options, `\`${release.version}\` has changed meanwhile, and is left as it is`);
    else if (!options.json) await writeLines(context.stdout, [`${action} ${release.version}`]);
  }
}

function stillPublished({ published }: PrunePlan): readonly Notice[] {
  if (published.length === 0) return [];
  const amount = count(published.length, 'release');
  const message = `${amount} may still be in the index that is published: run \`carport index publish\`, then this again`;
  return [{ message }];
}

function summaryJson(done: Done, plan: PrunePlan, options: PruneOptions) {
  return {
    hidden: done.hide.map(releaseJson),
    deleted: done.delete.map(releaseJson),
    restored: done.restore.map(releaseJson),
    left: done.left.map(releaseJson),
    waiting: [...plan.waiting, ...plan.published].map(releaseJson),
    kept: plan.kept.map((kept) => ({ version: kept.version, reason: kept.reason, why: whyKept(kept) })),
    dryRun: !options.apply,
  };
}

function releaseJson({ version, time, size, held }: PrunedRelease) {
  return { version, time, size, files: held.files.length };
}

/** Why releases were kept, as it is counted. */
const REASONS: Readonly<Record<KeptRelease['reason'], string>> = {
  newest: 'newest',
  young: 'young',
  latest: 'latest',
  promotion: 'promoted',
  pin: 'pinned',
  'being-put': 'put just now',
  'half-deleted': 'put while being deleted',
  name: 'with an odd name',
};

/** Why a release was kept, in words for people. */
export function whyKept(kept: KeptRelease): string {
  switch (kept.reason) {
    case 'being-put':
      return 'something of it was put within the last hour';
    case 'half-deleted':
      return `something of it was put while it was being deleted: remove \`${versionKey(PRUNINGS, kept.version)}\`, and put it again`;
    case 'name':
      return 'no version of carport is called so';
    case 'promotion':
      return kept.becomes === kept.version ? 'it is being made of another' : `\`${kept.becomes}\` was made of it`;
    case 'pin':
      return `the pin \`${kept.pin}\` has a path of it`;
    case 'newest':
      return `it is one of the newest ${kept.keep}`;
    case 'young':
      return 'it is young enough';
    case 'latest':
      return 'it is the latest of its channel';
  }
}

function tellTotals(done: Done, plan: PrunePlan, options: PruneOptions, context: Context): void {
  const tellOne = (text: string) => note(context, options, text);
  const sizeOf = (releases: readonly PrunedRelease[]) =>
    formatBytes(releases.reduce((sum, release) => sum + release.size, 0));
  const total = (what: string, releases: readonly PrunedRelease[]) => {
    if (releases.length > 0) tellOne(`${what}: ${count(releases.length, 'release')} (${sizeOf(releases)})`);
  };
  if (options.verbose) for (const kept of plan.kept) tellOne(`kept \`${kept.version}\`: ${whyKept(kept)}`);
  total('hide', done.hide);
  total('delete', done.delete);
  total('restore', done.restore);
  total('wait for their deletion', plan.waiting);
  const reasons = (Object.keys(REASONS) as KeptRelease['reason'][]).flatMap((reason) => {
    const kept = plan.kept.filter((each) => each.reason === reason).length;
    return kept > 0 ? [`${kept} ${REASONS[reason]}`] : [];
  });
  tellOne(`kept: ${count(plan.kept.length, 'release')}${reasons.length > 0 ? ` (${reasons.join(', ')})` : ''}`);
  if (!options.apply) tellOne('nothing was changed: `--apply` does it');
  else if (done.hide.length + done.restore.length > 0) tellOne('`carport index publish` shows it');
}
