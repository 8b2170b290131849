/** What options of a push mean: to which cache, signed and packed how, with which pins. */

import { parseCacheUrl } from '../../cache/cache-url.js';
import { checkPinName, requirePinKeys } from '../../cache/pins/set.js';
import type { PushEvent } from '../../cache/push/events.js';
import type { PushPins } from '../../cache/push/pins.js';
import { type PushRequest, pushClosure } from '../../cache/push/session.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Emit } from '../../lib/work.js';
import { settingsOf } from '../cli/command.js';
import { type CommonOptions, type Context, writeLines } from '../cli/context.js';
import { withCache } from '../cli/with-caches.js';
import { jobsOf, withPool } from '../cli/with-pool.js';
import type { PinWriteOptions } from '../pin/options.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from '../pin/policy.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache } from '../settings/places.js';
import type { Settings } from '../settings/settings.js';
import { packingOf } from './packing.js';

/** Options of commands that push. */
export interface PushOptions extends CommonOptions, PinWriteOptions {
  /** Names; mostly none. */
  readonly pin?: readonly string[];
  readonly checkAll?: boolean;
  readonly dryRun?: boolean;
  readonly listing: boolean;
}

/** A push of which only the paths are not known yet. */
export interface PreparedPush {
  /** URL of the cache. */
  readonly to: string;
  readonly settings: Settings;
  readonly request: Omit<PushRequest, 'store' | 'own' | 'closure'>;
}

/** Reads all that a push is told, keys included. Nothing is asked of a server. */
export async function preparePush(options: PushOptions, context: Context): Promise<PreparedPush> {
  const settings = await settingsOf({ ...options }, context);
  const to = requireCache(settings.to);
  const url = parseCacheUrl(to);
  const packing = packingOf(settings, url, options);
  jobsOf(settings.jobs);
  if (packing.compression === 'xz') await (await import('../../lib/compression/xz-write.js')).requireXz();
  const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...url.secretKeyFiles]);
  const { values: names, origin } = settings['skip-signed-by'];
  const request = {
    keys,
    packing,
    pins: pinsOf(options, { keys, settings, context }),
    checkAll: options.checkAll === true,
    skipSignedBy: { names, origin },
    dryRun: options.dryRun === true,
  };
  return { to, settings, request };
}

/** The command that pushes. */
export interface PushRun {
  readonly options: PushOptions;
  readonly context: Context;
  readonly emit: Emit<PushEvent>;
}

/** Pushes a closure as it was prepared, and prints its paths; with `--json` the events say it all. */
export async function pushPrepared(
  { to, settings, request }: PreparedPush,
  paths: Pick<PushRequest, 'store' | 'own' | 'closure'>,
  { options, context, emit }: PushRun,
): Promise<void> {
  const { storePaths } = await withPool(settings.jobs, (pool) =>
    withCache(to, { context, settings, emit }, ({ objects }, signal) =>
      pushClosure(objects, { ...request, ...paths }, { pool, emit, signal }),
    ),
  );
  if (!options.json) await writeLines(context.stdout, storePaths);
}

interface PinSurroundings {
  readonly keys: readonly SecretKey[];
  readonly settings: Settings;
  readonly context: Context;
}

function pinsOf({ pin = [], ...options }: PushOptions, { keys, settings, context }: PinSurroundings): PushPins {
  const names = [...new Set(pin)];
  for (const name of names) {
    checkPinName(name);
    requirePinKeys(name, keys);
  }
  const signing = {
    keys,
    policy: pinPolicyOf(settings, { allowRollback: options.allowRollback === true }),
    seen: seenPinsOf(context),
  };
  return { requests: names.map((name) => pinRequestOf(name, options)), signing };
}
