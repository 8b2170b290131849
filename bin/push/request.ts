/** What options of a push mean: to which cache, signed and packed how, with which pins. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { leasingFor } from '../../cache/leases/lease.js';
import { checkPinName, requirePinKeys } from '../../cache/pins/set.js';
import type { PushEvent } from '../../cache/push/events.js';
import type { PushPins } from '../../cache/push/pins.js';
import { type PushRequest, pushClosure } from '../../cache/push/session.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { findRealisations } from '../../lib/store/realisations.js';
import type { Emit } from '../../lib/work.js';
import { type Context, writeLines } from '../cli/context.js';
import { patienceOf, withCache } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from '../pin/policy.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache } from '../settings/places.js';
import type { PushOptions } from './options.js';
import { packingOf } from './packing.js';

/** A push of which only the paths are not known yet. */
export interface PreparedPush {
  readonly to: CacheUrl;
  /** Threads, if it is said how many. */
  readonly jobs: number | undefined;
  readonly request: Omit<PushRequest, 'store' | 'own' | 'closure' | 'realisations'>;
}

/** Reads all that a push is told, keys included. Nothing is asked of a server. */
export async function preparePush(options: PushOptions, context: Context): Promise<PreparedPush> {
  const { settings, checkAll, dryRun } = options;
  const to = requireCache(settings.to);
  const packing = packingOf(settings, to, options);
  const jobs = settings.jobs.value;
  if (packing.compression === 'xz') await (await import('../../lib/compression/xz-write.js')).requireXz();
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...to.secretKeyFiles]);
  const { value: names, origin } = settings['skip-signed-by'];
  const request = {
    keys,
    packing,
    pins: pinsOf(options, keys, context),
    checkAll,
    skipSignedBy: { names, origin: origin.name },
    dryRun,
  };
  return { to, jobs, request };
}

/** The command that pushes. */
export interface PushRun {
  readonly options: PushOptions;
  readonly context: Context;
  readonly emit: Emit<PushEvent>;
}

/** Pushes a closure as it was prepared, and prints its paths; with `--json` the events say it all. */
export async function pushPrepared(
  { to, jobs, request }: PreparedPush,
  paths: Pick<PushRequest, 'store' | 'own' | 'closure'>,
  { options, context, emit }: PushRun,
): Promise<void> {
  const leasing = leasingFor(patienceOf(options) * 1000);
  const { realisations, unknown } = await findRealisations(paths.store, paths.closure);
  for (const path of unknown) {
    const message = `\`${path}\` is the output of a content-addressed derivation, and its realisation is not known here: Nix finds it in the cache by this path, and not by its derivation`;
    emit({ type: 'warning', about: { path }, message });
  }
  const { storePaths } = await withPool(jobs, (pool) =>
    withCache(to, { context, options, emit }, ({ objects }, signal) =>
      pushClosure(objects, { ...request, ...paths, realisations }, { pool, emit, signal, leasing }),
    ),
  );
  if (!options.json) await writeLines(context.stdout, storePaths);
}

function pinsOf({ pin = [], ...options }: PushOptions, keys: readonly SecretKey[], context: Context): PushPins {
  const names = [...new Set(pin)];
  for (const name of names) {
    checkPinName(name);
    requirePinKeys(name, keys);
  }
  const signing = {
    keys,
    policy: pinPolicyOf(options.settings, { allowRollback: options.allowRollback }),
    seen: seenPinsOf(context),
  };
  return { requests: names.map((name) => pinRequestOf(name, options)), signing };
}
