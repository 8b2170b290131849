/** What options of a push mean: to which cache, signed and packed how, with which pins. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { leasingFor } from '../../cache/leases/lease.js';
import type { OpenCache } from '../../cache/open.js';
import { checkPinName, requirePinKeys } from '../../cache/pins/set.js';
import { pathsIn } from '../../cache/push/elsewhere.js';
import type { PushEvent } from '../../cache/push/events.js';
import type { PushPins } from '../../cache/push/pins.js';
import { type PushRequest, pushClosure, type SkippedKeys } from '../../cache/push/session.js';
import type { TransferSummary } from '../../cache/transfer-events.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { isSignedByOneOf } from '../../lib/signing/signature.js';
import { findRealisations } from '../../lib/store/realisations.js';
import type { Emit } from '../../lib/work.js';
import { type Context, note, writeJsonLine, writeLines } from '../cli/context.js';
import { patienceOf, withCaches } from '../cli/with-caches.js';
import { withPool } from '../cli/with-pool.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from '../pin/policy.js';
import { addJobSummary, isInCi } from '../reporters/ci-log.js';
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
  const { settings, checkAll, dryRun, allowUnsigned, skipWithoutKey } = options;
  const to = requireCache(settings.to);
  const packing = packingOf(settings, to, options);
  const jobs = settings.jobs.value;
  if (packing.compression === 'xz') await (await import('../../lib/compression/xz-write.js')).requireXz();
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...to.secretKeyFiles]);
  if (keys.length === 0 && !allowUnsigned && !skipWithoutKey && !dryRun && isInCi(context.env)) throw unsignedError();
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
  return { to, jobs, request };
}

function unsignedError(): CarportError {
  return new CarportError('E_CREDENTIALS', 'there is no key to sign with, and readers refuse what nobody has signed', {
    hint: 'give the key in the variable `CARPORT_SECRET_KEY`, or its file: `--secret-key FILE`. For builds that see no secrets there is `--skip-without-key`; `--allow-unsigned` pushes all the same',
  });
}

/** Whether nothing is to be pushed, since there is no key and the options ask for that then. Says so. */
export function isWithoutKey(
  { request }: PreparedPush,
  { skipWithoutKey, ...options }: Pick<PushOptions, 'skipWithoutKey' | 'json' | 'quiet'>,
  context: Context,
): boolean {
  if (!skipWithoutKey || request.keys.length > 0) return false;
  const message = 'nothing is pushed: there is no key to sign with, as in builds that see no secrets';
  if (options.json) writeJsonLine(context.stdout, { type: 'skipped', reason: 'no-key', message });
  else note(context, options, message);
  return true;
}

/** The command that pushes. */
export interface PushRun {
  readonly options: PushOptions;
  readonly context: Context;
  readonly emit: Emit<PushEvent>;
  /** Whether what Nix's own cache has is left out, unless a pin is to stand for some of it. */
  readonly skipsUpstream?: boolean;
}

/** Name of the key of Nix's own cache, which every Nix trusts. */
const UPSTREAM_KEY = 'cache.nixos.org-1';

function withUpstream(
  { skipSignedBy, pins }: PreparedPush['request'],
  { graph, pinned }: PushRequest['closure'],
): SkippedKeys {
  // A pin is for what its cache has, and whoever names such a path for one wants it there with all that it needs.
  const named = [...pinned.storePaths, ...pinned.derivations].flatMap((path) => graph.get(path) ?? []);
  if (pins.requests.length > 0 && named.some((info) => isSignedByOneOf(info, [UPSTREAM_KEY]))) return skipSignedBy;
  return { ...skipSignedBy, names: [...new Set([...skipSignedBy.names, UPSTREAM_KEY])] };
}

/** Pushes a closure as it was prepared, and prints its paths where they are wanted; with `--json` the events say it all. */
export async function pushPrepared(
  { to, jobs, request }: PreparedPush,
  paths: Pick<PushRequest, 'store' | 'own' | 'closure'>,
  { options, context, emit, skipsUpstream = false }: PushRun,
): Promise<void> {
  const leasing = leasingFor(patienceOf(options) * 1000);
  const { realisations, unknown } = await findRealisations(paths.store, paths.closure);
  for (const path of unknown) {
    const message = `\`${path}\` is the output of a content-addressed derivation, and its realisation is not known here: Nix finds it in the cache by this path, and not by its derivation`;
    emit({ type: 'warning', about: { path }, message });
  }
  const skipSignedBy = skipsUpstream ? withUpstream(request, paths.closure) : request.skipSignedBy;
  const summary = await withPool(jobs, (pool) =>
    withCaches([to, ...(options.skipIn ?? [])], { context, options, emit }, async ([cache, ...others], signal) => {
      const skipPaths = await pathsElsewhere(others, paths.closure, request.pins.requests.length > 0, emit);
      const asked = { ...request, ...paths, realisations, skipSignedBy, skipPaths };
      const done = await pushClosure(cache!.objects, asked, { pool, emit, signal, leasing });
      if (!request.dryRun) await sumUp(context, cache!.objects.url, done);
      return done;
    }),
  );
  if (!options.json && isListWanted(options, context)) await writeLines(context.stdout, summary.storePaths);
}

/** What others have, but for what pins are to stand for. One that does not answer has nothing. */
async function pathsElsewhere(
  caches: readonly OpenCache[],
  { graph, pinned }: PushRequest['closure'],
  hasPins: boolean,
  emit: Emit<PushEvent>,
): Promise<ReadonlySet<string>> {
  const found = caches.map(({ objects }) =>
    pathsIn(objects, graph).catch((error) => {
      if (!hasCode(error, 'E_UNAVAILABLE')) throw error;
      emit({ type: 'warning', message: `\`${objects.url}\` does not answer: what it may have is pushed, too` });
      return [];
    }),
  );
  const paths = new Set((await Promise.all(found)).flat());
  if (hasPins) for (const path of [...pinned.storePaths, ...pinned.derivations]) paths.delete(path);
  return paths;
}

function sumUp(context: Context, cache: string, summary: TransferSummary): Promise<void> {
  const { transferred: pushed, present, skipped, fileSize } = summary;
  return addJobSummary(context, { title: 'carport push', cache, pushed, present, skipped, fileSize });
}

/** Scripts read the list; people and logs of CI systems have to ask for it. */
function isListWanted(
  { print, dryRun }: { readonly print?: boolean; readonly dryRun: boolean },
  { stdout, env }: Context,
): boolean {
  return print === true || dryRun || !(stdout.isTTY || isInCi(env));
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
