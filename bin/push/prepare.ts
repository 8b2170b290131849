/** What options of a push mean: to which cache, signed and packed how, with which pins. Who has read that may find nothing to push. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { checkPinName, requirePinKeys } from '../../cache/pins/set.js';
import type { PushPins } from '../../cache/push/pins.js';
import type { PushRequest } from '../../cache/push/session.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { Context } from '../cli/context.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from '../pin/policy.js';
import { isInCi } from '../reporters/ci-log.js';
import { requireCache } from '../settings/places.js';
import { loadPushKeys } from './keys.js';
import type { PushOptions } from './options.js';
import { packingOf } from './packing.js';

/** A push of which only the paths are not known yet. */
export interface PreparedPush {
  readonly to: CacheUrl;
  /** Threads, if it is said how many. */
  readonly jobs: number | undefined;
  readonly request: Omit<PushRequest, 'store' | 'own' | 'closure' | 'realisations'>;
}

/** Reads all that a push is told, keys included, unless they are here. Nothing is asked of a server. */
export async function preparePush(
  options: PushOptions,
  context: Context,
  given?: readonly SecretKey[],
): Promise<PreparedPush> {
  const { settings, checkAll, dryRun, allowUnsigned } = options;
  const to = requireCache(settings.to, 'to');
  const packing = packingOf(settings, to, options);
  const jobs = settings.jobs.value;
  if (packing.compression === 'xz') await (await import('../../lib/compression/xz/write.js')).requireXz();
  const keys = given ?? (await loadPushKeys(options, context));
  const { value: names, origin } = settings['skip-signed-by'];
  const request = {
    keys,
    packing,
    pins: pinsOf(options, keys, context),
    checkAll,
    skipSignedBy: { names, origin: origin.name },
    allowUnsigned,
    dryRun,
  };
  // What a bucket is listed with takes a while to load, in which the store answers.
  if (to.location.kind === 's3') import('../../lib/object-store/s3/sdk.js').catch(() => undefined);
  return { to, jobs, request };
}

/** Scripts read the list; people and logs of CI systems have to ask for it, and into `/dev/null` it is not written. */
export function isListWanted(
  { print, dryRun }: { readonly print?: boolean; readonly dryRun: boolean },
  { stdout, isStdoutDevice = false, env }: Context,
): boolean {
  return print === true || dryRun || !(stdout.isTTY || isStdoutDevice || isInCi(env));
}

function pinsOf({ pin = [], ...options }: PushOptions, keys: readonly SecretKey[], context: Context): PushPins {
  const names = keys.length === 0 && options.skipWithoutKey ? [] : [...new Set(pin)];
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
