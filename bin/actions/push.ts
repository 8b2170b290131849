import { parseCacheUrl } from '../../cache/cache-url.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import {
  checkPinName,
  type PinRequest,
  type PinSigning,
  previousPin,
  requirePinKeys,
  setPin,
} from '../../cache/pins/set.js';
import { planPush } from '../../cache/push/plan.js';
import { beginPush, checkCache, finishPush } from '../../cache/push/prepare.js';
import { push } from '../../cache/push/push.js';
import {
  COMPRESSION_LEVELS,
  isWritableCompression,
  type WritableCompression,
} from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Closure } from '../../lib/store/closure.js';
import { openStoreForReading } from '../../lib/store/open.js';
import type { Store } from '../../lib/store/store.js';
import { type ClosureOptions, closureOf, closureWarnings } from '../closures.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, writeLines } from '../context.js';
import { loadSecretKeys } from '../keys.js';
import { resolvePaths } from '../paths.js';
import { type PinWriteOptions, pinPolicyOf, pinRequestOf, seenPinsOf } from '../pins.js';
import { createReporter } from '../reporters/reporter.js';
import { type Setting, type Settings, singleValue } from '../settings.js';
import { withCache } from '../with-caches.js';
import { jobsOf, withPool } from '../with-pool.js';

export interface PushCommandOptions extends CommonOptions, ClosureOptions, PinWriteOptions {
  readonly pin?: string;
  readonly checkAll?: boolean;
  readonly dryRun?: boolean;
  readonly listing: boolean;
}

export async function run(whats: readonly string[], options: PushCommandOptions, context: Context): Promise<void> {
  await pushFrom((store) => resolvePaths(whats, store, context), options, context);
}

/** Pushes the closure of paths that are looked for, or made, once it is known that the rest of the command is right. */
export async function pushFrom(
  findRoots: (store: Store) => Promise<readonly string[]>,
  options: PushCommandOptions,
  context: Context,
): Promise<void> {
  const settings = await settingsOf({ ...options }, context);
  const to = singleValue(settings.to);
  if (to === undefined) {
    throw new CarportError('E_USAGE', 'it is not said where to push to', {
      hint: 'give `--to s3://bucket?endpoint=…` or `--to file:///path/of/cache`, or set CARPORT_TO',
    });
  }
  const url = parseCacheUrl(to);
  const compression = compressionOf(settings.compression, url.compression);
  const level = levelOf(compression, settings.level, url.level);
  jobsOf(settings.jobs);
  if (compression === 'xz') await (await import('../../lib/compression/xz-write.js')).requireXz();
  const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...url.secretKeyFiles]);
  const pinning = pinningOf(options, keys, settings, context);
  const store = await openStoreForReading(singleValue(settings.store), context.env);
  const roots = await findRoots(store);

  const reporter = createReporter(context, options);
  const warn = (message: string) => reporter.emit({ type: 'warning', message });
  try {
    const closure = await closureOf(options, store, roots);
    for (const warning of closureWarnings(closure, options)) reporter.emit(warning);
    const listing = options.listing && url.writeListing !== false;
    const request: PushCommand = { store, closure, keys, compression, level, listing, pinning };
    await withCache(to, { context, settings, warn }, ({ objects }) =>
      pushTo(objects, request, { options, settings, context, emit: reporter.emit }),
    );
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
  readonly pinning: Pinning | undefined;
}

/** The pin that is set when the push is done. */
interface Pinning {
  readonly request: PinRequest;
  readonly signing: PinSigning;
}

interface CommandRun {
  readonly options: PushCommandOptions;
  readonly settings: Settings;
  readonly context: Context;
  readonly emit: Emit;
}

async function pushTo(
  objects: ObjectStore,
  { closure: { graph, pinned }, keys, pinning, ...packing }: PushCommand,
  { options, settings, context, emit }: CommandRun,
): Promise<void> {
  const { store } = packing;
  const hasCache = await checkCache(objects, store.storeDir);
  // A pin that cannot be set is told before anything is sent.
  if (pinning) await previousPin(objects, pinning.request, pinning.signing);
  for (const path of pinning ? pinned.storePaths.filter(isDerivationPath) : []) {
    const { name } = pinning!.request;
    const message = `\`${name}\` is to stand for the derivation \`${path}\`, and not for what it builds: build that first, and push it with \`--closure build\``;
    emit({ type: 'warning', message });
  }
  const [checkAll, skipSignedBy] = [options.checkAll === true, settings['skip-signed-by'].values];
  const plan = await planPush(objects, { graph, keys, checkAll, skipSignedBy, hasCache });
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
  if (options.dryRun) return printPaths(uploadPaths, options, context);
  const { fileSize } = await withPool(settings.jobs, (pool) => push(plan, { ...packing, objects, pool, keys, emit }));
  await finishPush(objects, store.storeDir, plan);
  if (pinning) {
    const { name, updatedAt } = await setPin(objects, pinned, pinning.request, pinning.signing);
    emit({ type: 'pin', name, updatedAt, ...pinned });
  }
  const storePaths = plan.order.map(({ path }) => path);
  emit({
    ...{ type: 'summary', ...totals, transferred: plan.upload.length, narSize, fileSize },
    ...{ signed: plan.sign.length, storePaths },
  });
  await printPaths(storePaths, options, context);
}

function pinningOf(
  options: PushCommandOptions,
  keys: readonly SecretKey[],
  settings: Settings,
  context: Context,
): Pinning | undefined {
  if (options.pin === undefined) return undefined;
  checkPinName(options.pin);
  const signing = {
    keys: requirePinKeys(options.pin, keys),
    policy: pinPolicyOf(settings, {}),
    seen: seenPinsOf(context),
  };
  return { request: pinRequestOf(options.pin, options), signing };
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
