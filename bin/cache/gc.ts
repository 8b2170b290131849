/** The command `cache gc`. */

import type { CacheUrl } from '../../cache/cache-url.js';
import type { RootShare } from '../../cache/gc/mark.js';
import type { Condemned, GcPlan } from '../../cache/gc/plan.js';
import { applyCollection, type GcRequest, type GcResult, planCollection, SWEEPING } from '../../cache/gc/session.js';
import { requireNoSweep } from '../../cache/gc/sweep.js';
import { timesFor } from '../../cache/leases/hold.js';
import { PIN_LIMITS } from '../../cache/pins/pin.js';
import { CarportError } from '../../lib/errors.js';
import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { releaseRoots } from '../../release/store-path-roots.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { sayWarnings } from '../cli/warnings.js';
import { patienceOf, withCache } from '../cli/with-caches.js';
import { pinPolicyOf, seenPinsOf } from '../pin/policy.js';
import { withActivity } from '../reporters/activity.js';
import { type GcRules, gcRulesOf } from '../retention/caches.js';
import { inventoryOf, withNarInfoMemory } from './count.js';
import { garbageJson, garbageLines } from './garbage.js';
import type { GcOptions } from './life.js';

/** Plans what goes of a cache, prints it, and removes it where that is wished. */
export async function collect(url: CacheUrl, options: GcOptions, context: Context): Promise<void> {
  if (options.apply && options.dryRun) throw contradiction();
  const rules = await gcRulesOf(options, { removes: options.apply, yes: options.yes }, context);
  const request = requestOf(rules, options, context);
  await withCache(url, { options, context }, async ({ objects }, signal) => {
    const { plan, result } = await withActivity(context, options, async ({ emit }) => {
      if (options.apply) await requireNoSweep(asWritable(objects, 'where nothing can be removed'));
      const inventory = await inventoryOf(url, options.inventory);
      const plan = await withNarInfoMemory(objects, context, (memory) =>
        planCollection(objects, request, { emit, signal, memory, ...(inventory && { inventory }) }),
      );
      if (!options.apply) return { plan, result: undefined };
      const times = timesFor(SWEEPING.times, patienceOf(options) * 1000);
      return { plan, result: await applyCollection(objects, plan, request, { emit, signal }, { ...SWEEPING, times }) };
    });
    sayWarnings(context, warningsOf(plan, rules, result));
    const gone = result?.final ?? plan.condemned;
    if (options.json) return writeJson(context.stdout, resultJson(objects, { plan, result, gone }));
    await writeLines(context.stdout, garbageLines(plan, gone));
    for (const line of summaryOf(plan, result, { ...options, ...rules })) note(context, options, line);
  });
}

function contradiction(): CarportError {
  return new CarportError('E_USAGE', '`--apply` and `--dry-run` exclude each other');
}

function requestOf(rules: GcRules, options: GcOptions, context: Context): GcRequest {
  const { keepNewerThan, maxSize, keepHistory = PIN_LIMITS.history } = rules;
  const policy = pinPolicyOf(options.settings, options);
  return {
    pins: { policy, seen: seenPinsOf(context), history: keepHistory },
    sources: [releaseRoots(policy)],
    keepNewerThan,
    maxSize,
  };
}

function warningsOf({ shares, totals, survey }: GcPlan, { maxSize }: GcRules, result: GcResult | undefined) {
  const incomplete = shares.flatMap(({ kind, name, missing: [first] }) =>
    first === undefined || kind === 'lease'
      ? []
      : [{ message: `the ${kind} \`${name}\` is for what the cache does not have, \`${first}\` for one` }],
  );
  const unknown = survey.belongings.isUnknown.reduce((sum, one) => sum + one, 0);
  const left = result?.narsLeft ?? 0;
  return [
    ...incomplete,
    ...(unknown > 0 ? [{ message: `${count(unknown, 'realisation')} or debug files stay that cannot be read` }] : []),
    ...(left > 0
      ? [
          {
            message: `${count(left, 'NAR')} stay until the next time, since pushes are under way that may rely on them`,
          },
        ]
      : []),
    ...(maxSize !== undefined && totals.keptBytes > maxSize
      ? [
          {
            message: `${formatBytes(totals.keptBytes)} stay, more than ${formatBytes(maxSize)}: roots and what is young keep them`,
          },
        ]
      : []),
  ];
}

interface Outcome {
  readonly plan: GcPlan;
  readonly result: GcResult | undefined;
  readonly gone: Condemned;
}

function resultJson(objects: ObjectStore, { plan, result, gone }: Outcome) {
  const { paths, removedPaths, removedObjects, removedBytes, laterBytes, keptBytes } = plan.totals;
  return {
    url: objects.url,
    dryRun: result === undefined,
    paths,
    removed: {
      paths: result?.paths ?? removedPaths,
      objects: result?.objects ?? removedObjects,
      bytes: result?.bytes ?? removedBytes,
    },
    laterBytes,
    keptBytes,
    ...(result && { spared: result.spared, narsLeft: result.narsLeft }),
    roots: plan.shares,
    young: { paths: plan.young.paths, bytes: plan.young.bytes },
    ...garbageJson(plan, gone),
  };
}

/** Roots that are shown each; of more only how many there are. */
const MOST_ROOTS = 20;

function summaryOf(
  plan: GcPlan,
  result: GcResult | undefined,
  { verbose, keepNewerThan }: GcRules & Pick<GcOptions, 'verbose'>,
): readonly string[] {
  const { totals, shares, young } = plan;
  const shown = verbose ? shares : shares.slice(0, MOST_ROOTS);
  const more = shares.length - shown.length;
  const days = Math.round(keepNewerThan / 8_640_000) / 10;
  return [
    ...shown.map(shareLine),
    ...(more > 0 ? [`keeps: ${count(more, 'more root')} (\`--verbose\` names them)`] : []),
    `keeps: what is younger than ${days} days, beside these: ${amount(young)}`,
    `stay: ${count(totals.paths - totals.removedPaths, 'path')} of ${totals.paths}, ${formatBytes(totals.keptBytes)}`,
    result === undefined
      ? `would go: ${count(totals.removedPaths, 'path')}, ${count(totals.removedObjects, 'object')}, ${formatBytes(totals.removedBytes)}`
      : `removed: ${count(result.paths, 'path')}, ${count(result.objects, 'object')}, ${formatBytes(result.bytes)}`,
    ...(result !== undefined && result.spared > 0
      ? [`spared: ${count(result.spared, 'path')}, which a push needs by now`]
      : []),
    ...(totals.laterBytes > 0
      ? [`the next time: ${formatBytes(totals.laterBytes)} of NARs that readers may still hold`]
      : []),
    ...(result === undefined ? ['nothing was changed: `--apply` does it'] : []),
  ];
}

function shareLine(share: RootShare): string {
  const what = share.kind === 'lease' ? 'pushes that are under way' : `the ${share.kind} \`${share.name}\``;
  return `keeps: ${what}: ${amount(share)}`;
}

function amount({ paths, bytes }: Pick<RootShare, 'paths' | 'bytes'>): string {
  return `${count(paths, 'path')}, ${formatBytes(bytes)}`;
}
