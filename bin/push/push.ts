/** The command `push`: from options to a push, and what is printed of it. */

import { parseCacheUrl } from '../../cache/cache-url.js';
import { type PushPlan, planPush } from '../../cache/push/plan.js';
import { beginPush, checkCache, finishPush } from '../../cache/push/prepare.js';
import { publishPlan } from '../../cache/push/publish.js';
import {
  COMPRESSION_LEVELS,
  isWritableCompression,
  type WritableCompression,
} from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Closure } from '../../lib/store/closure.js';
import { withHeldPaths } from '../../lib/store/hold-paths.js';
import { openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';
import { resolvePaths } from '../arguments/paths.js';
import { type CommandRun, settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, writeLines } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import { withCache } from '../cli/with-caches.js';
import { jobsOf, withPool } from '../cli/with-pool.js';
import { type ClosureOptions, closureOf, closureWarnings } from '../closure/select.js';
import { createReporter } from '../reporters/reporter.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache, storeOf } from '../settings/places.js';
import { type Setting, singleValue } from '../settings/settings.js';
import { checkPinned, checkPins, type Pinning, type PinningOptions, pinningOf, setPins } from './pinning.js';

export interface PushCommandOptions extends CommonOptions, ClosureOptions, PinningOptions {
  readonly checkAll?: boolean;
  readonly dryRun?: boolean;
  readonly listing: boolean;
}

export async function run(targets: readonly string[], options: PushCommandOptions, context: Context): Promise<void> {
  await pushFrom({ find: (store) => resolvePaths(targets, store, context), takesLong: false }, options, context);
}

/** The paths whose closure is pushed. */
export interface PushRoots {
  /** Called once it is known that the rest of the command is right. */
  find(store: Store): Promise<readonly string[]>;
  /** What would make the push fail is then looked for first, in the cache, too. */
  readonly takesLong: boolean;
}

/** Pushes the closure of paths that are looked for, or made. */
export async function pushFrom(
  { find, takesLong }: PushRoots,
  options: PushCommandOptions,
  context: Context,
): Promise<void> {
  const settings = await settingsOf({ ...options }, context);
  const to = requireCache(settings.to);
  const url = parseCacheUrl(to);
  const compression = compressionOf(settings.compression, url.compression);
  const level = levelOf(compression, settings.level, url.level);
  jobsOf(settings.jobs);
  if (compression === 'xz') await (await import('../../lib/compression/xz-write.js')).requireXz();
  const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...url.secretKeyFiles]);
  const pinning = pinningOf(options, keys, settings, context);
  const selection = storeOf(settings.store);
  const store = await openStoreForReading(selection, context.env);
  const own = openOwnForReading(selection, context.env);

  const reporter = createReporter(context, options);
  const warn = (message: string) => reporter.emit({ type: 'warning', message });
  const use = { context, settings, warn };
  try {
    if (takesLong) await withCache(to, use, ({ objects }) => checkTarget(objects, store, pinning));
    const closure = await closureOf(options, store, await find(store));
    for (const warning of closureWarnings(closure, options)) reporter.emit(warning);
    const listing = options.listing && url.writeListing !== false;
    const request: PushCommand = { store, closure, keys, compression, level, listing, pinning };
    const work = () =>
      withCache(to, use, ({ objects }) =>
        pushTo(objects, request, { options, settings, context, emit: reporter.emit }),
      );
    await withHeldPaths({ store, own }, closure.graph.values(), work, { onWait: warn });
  } finally {
    reporter.stop();
  }
}

/** What is pushed, and how. */
interface PushCommand {
  readonly store: Store;
  readonly closure: Closure;
  readonly keys: readonly SecretKey[];
  readonly compression: WritableCompression;
  readonly level: number;
  readonly listing: boolean;
  readonly pinning: Pinning;
}

async function pushTo(
  objects: ObjectStore,
  { closure: { graph, pinned }, keys, pinning, ...packing }: PushCommand,
  { options, settings, context, emit }: CommandRun<PushCommandOptions>,
): Promise<void> {
  const { store } = packing;
  const hasCache = await checkTarget(objects, store, pinning);
  const [checkAll, skipSignedBy] = [options.checkAll === true, settings['skip-signed-by'].values];
  const plan = await planPush(objects, { graph, keys, checkAll, skipSignedBy, hasCache });
  checkPinned(pinning, pinned, plan, settings['skip-signed-by'].origin);
  if (!options.dryRun) await beginPush(objects, store.storeDir, plan);
  const narSize = plan.upload.reduce((sum, info) => sum + info.narSize, 0);
  const uploadPaths = plan.upload.map(({ path }) => path);
  const [paths, skipped] = [plan.order.length, plan.skipped.length];
  const totals = { verb: 'push', paths, present: paths - skipped - plan.upload.length, skipped } as const;
  emit({ type: 'plan', ...totals, transfer: plan.upload.length, narSize, storePaths: uploadPaths });
  if (keys.length === 0 && plan.upload.some(({ signatures }) => signatures.length === 0)) {
    emit({ type: 'warning', message: 'nothing is signed: give `--secret-key`, or readers will refuse it' });
  }
  for (const path of plan.different) {
    const message = `\`${path}\` is in the cache with other content, and stays so: its build is not reproducible`;
    emit({ type: 'warning', message });
  }
  for (const message of damageWarnings(plan, options)) emit({ type: 'warning', message });
  if (options.dryRun) return printPaths(uploadPaths, options, context);
  const { fileSize } = await withPool(settings.jobs, (pool) =>
    publishPlan(plan, { ...packing, objects, pool, keys, emit }),
  );
  await finishPush(objects, store.storeDir, plan);
  await setPins(objects, pinning, pinned, emit);
  const storePaths = plan.order.map(({ path }) => path);
  emit({
    ...{ type: 'summary', ...totals, transferred: plan.upload.length, narSize, fileSize },
    ...{ signed: plan.sign.length, storePaths },
  });
  await printPaths(storePaths, options, context);
}

/** Whether there is a cache; throws when it is for other paths, or a pin cannot be set there. */
async function checkTarget(objects: ObjectStore, store: Store, pinning: Pinning): Promise<boolean> {
  const hasCache = await checkCache(objects, store.storeDir);
  await checkPins(objects, pinning);
  return hasCache;
}

/** One for all: a cache that lost one NAR may have lost thousands. */
function damageWarnings({ damaged }: PushPlan, { checkAll, dryRun }: PushCommandOptions): readonly string[] {
  const [path, ...others] = damaged;
  if (path === undefined) return [];
  const more = others.length > 0 ? `, and of ${count(others.length, 'other path')}` : '';
  const rest = checkAll ? '' : '; others may be gone, too: the same push with `--check-all` looks for all';
  return [
    `the NAR of \`${path}\`${more} was not in the cache as its narinfo says, and ${dryRun ? 'would be' : 'is'} sent again${rest}`,
  ];
}

/** With `--json` the events have said it all. */
async function printPaths(paths: readonly string[], options: CommonOptions, context: Context): Promise<void> {
  if (!options.json) await writeLines(context.stdout, paths);
}

function compressionOf(setting: Setting, fromUrl: WritableCompression | undefined): WritableCompression {
  const name = chosen(setting, fromUrl) ?? 'zstd';
  if (isWritableCompression(name)) return name;
  throw new CarportError('E_USAGE', `compression \`${name}\` (${setting.origin}) cannot be written`, {
    hint: `use ${Object.keys(COMPRESSION_LEVELS).join(', ')}`,
  });
}

function levelOf(compression: WritableCompression, setting: Setting, fromUrl: number | undefined): number {
  const text = chosen(setting, fromUrl?.toString());
  const levels = COMPRESSION_LEVELS[compression];
  if (text === undefined) return levels.default;
  const level = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (level >= levels.min && level <= levels.max) return level;
  throw new CarportError('E_USAGE', `level ${text} is not one of ${compression}'s`, {
    hint: levels.max === 0 ? 'leave `--level` out' : `use ${levels.min} to ${levels.max}`,
  });
}

/** An option stands before the URL, and the URL, which names this cache, before the environment and files. */
function chosen(setting: Setting, fromUrl: string | undefined): string | undefined {
  return setting.origin.startsWith('--') ? singleValue(setting) : (fromUrl ?? singleValue(setting));
}
