/** The commands `pin set` and `ls`. */

import { checkStoreDir, readNarInfo, requireCacheInfo } from '../../cache/binary-cache.js';
import { type Leased, leasingFor, withLease } from '../../cache/leases/lease.js';
import { requireNar } from '../../cache/nars.js';
import { judgeAge, judgeOrigin, type PinPolicy, type PinRefusal } from '../../cache/pins/check.js';
import { findPin } from '../../cache/pins/find.js';
import { findPinNames } from '../../cache/pins/list.js';
import { createPathsJudge, type PathsJudge } from '../../cache/pins/paths.js';
import type { Pin, PinValue } from '../../cache/pins/pin.js';
import { readPin } from '../../cache/pins/pins.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import type { SeenPins } from '../../cache/pins/seen.js';
import { checkPinName, checkSize, type PinSigning, previousPin, requirePinKeys, setPin } from '../../cache/pins/set.js';
import { noSuchPin } from '../../cache/pull/targets.js';
import { hasAllSignatures, signClosures } from '../../cache/signatures.js';
import { CarportError, insteadOf } from '../../lib/errors.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import { openStoreForReading } from '../../lib/store/open.js';
import { expandStdin, resolveHashPart } from '../arguments/paths.js';
import { type Context, note, writeJson } from '../cli/context.js';
import { count } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { patienceOf, withCache, withCaches } from '../cli/with-caches.js';
import { loadSecretKeys } from '../settings/keys.js';
import { requireCache, requireSources } from '../settings/places.js';
import type { Settings } from '../settings/setting.js';
import type { PinListOptions, PinSetOptions } from './command.js';
import { type Listed, type Refused, writePins } from './listed.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from './policy.js';

/** Makes a name stand for store paths that a cache has. */
export async function set(
  name: string,
  targets: readonly string[],
  options: PinSetOptions,
  context: Context,
): Promise<void> {
  checkPinName(name);
  const { settings, allowRollback } = options;
  const to = requireCache(settings.to);
  const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...to.secretKeyFiles]);
  const policy = pinPolicyOf(settings, { allowRollback });
  const emit = warnPeople(context);
  const signing = { keys: requirePinKeys(name, keys), policy, seen: seenPinsOf(context), emit };
  const request = pinRequestOf(name, options);
  const search = { policy: withOwnKeys(policy, keys), seen: signing.seen, selected: settings.store };
  await withCache(to, { options, context }, async ({ objects }, signal) => {
    const { storeDir } = await requireCacheInfo(objects);
    if (options.page) await (await paging()).refuseAnotherPage(objects);
    const previous = await previousPin(objects, request, signing);
    const words = await expandStdin(targets, context);
    const find = (objects: ObjectStore) =>
      Promise.all(words.map((what) => pathsOf(what, { objects, storeDir, ...search }, context)));
    const there = await find(objects);
    if (options.dryRun) return tellPlan(name, there, options, context);
    const paths = there.flatMap(({ infos }) => infos.map(({ path }) => path));
    const lease = { paths, emit, signal };
    const set = async ({ objects, refresh }: Leased) => {
      // Again, now that no garbage collection takes them away.
      const found = await find(objects);
      const value = {
        storePaths: [...new Set(found.flatMap(({ storePaths }) => storePaths))],
        derivations: [...new Set(found.flatMap(({ derivations }) => derivations))],
      };
      checkSize(name, value);
      await signValue(objects, found, signing, (message) => note(context, options, message));
      await refresh([...value.storePaths, ...value.derivations]);
      return setPin(objects, value, request, signing);
    };
    const pin = await withLease(objects, lease, set, leasingFor(patienceOf(options) * 1000));
    const page = options.page && (await (await paging()).renewPage(objects, { ...options, keys }, { context, signal }));
    if (options.json) return writeJson(context.stdout, pinJson(pin));
    const change = previous === undefined ? 'is new' : previous.since === pin.since ? 'is as it was' : 'has changed';
    note(context, options, `\`${name}\` ${change}: ${count(pin.storePaths.length, 'path')}`);
    await tellOfPage(objects, page, { ...options, isChanged: previous?.since !== pin.since }, context);
  });
}

/** Says what a pin would stand for. */
async function tellPlan(
  name: string,
  found: readonly FoundPaths[],
  options: PinSetOptions,
  context: Context,
): Promise<void> {
  const storePaths = [...new Set(found.flatMap(({ storePaths }) => storePaths))];
  if (options.json) return writeJson(context.stdout, { name, storePaths, dryRun: true });
  note(context, options, `\`${name}\` would stand for ${storePaths.join(' ')}`);
}

/** Loaded when it is used. */
const paging = () => import('../cache/page.js');

/** Says what became of the page, or that it does not tell of the pin. */
async function tellOfPage(
  objects: ObjectStore,
  isNew: boolean,
  options: Pick<PinSetOptions, 'page' | 'quiet'> & { readonly isChanged: boolean },
  context: Context,
): Promise<void> {
  const { hasPage, tellOfPage } = await paging();
  if (options.page) return tellOfPage(objects, isNew, options, context);
  if (options.quiet || !options.isChanged || !(await hasPage(objects))) return;
  note(context, options, 'the page of the cache does not tell yet: `carport cache page`, or `--page`, writes it anew');
}

/** Has each key sign what it has not signed yet: a pin is signed only by keys that have signed its paths. */
async function signValue(
  objects: ObjectStore,
  found: readonly FoundPaths[],
  { keys, policy }: PinSigning,
  tell: (message: string) => void,
): Promise<void> {
  const unsigned = found.flatMap(({ infos }) => infos).filter((info) => !hasAllSignatures(info, keys));
  if (unsigned.length === 0) return;
  const roots = [...new Set(unsigned.map(({ path }) => path))];
  const signed = await signClosures(objects, roots, keys, withOwnKeys(policy, keys));
  const names = keys.map((key) => `\`${key.name}\``).join(' and ');
  tell(`signed ${count(signed.length, 'path')} in the cache: all have the signature of ${names} now`);
}

/** Prints pins, and what is to be thought of each. */
export async function list(names: readonly string[], options: PinListOptions, context: Context): Promise<void> {
  for (const name of names) checkPinName(name);
  const { settings } = options;
  const urls = requireSources(settings);
  // One's own pins are no stranger's.
  const own = await loadSecretKeys(settings['secret-key-files'].value);
  const trust = { policy: withOwnKeys(pinPolicyOf(settings, {}), own), seen: seenPinsOf(context) };
  const listed = await withCaches(urls, { options, context }, async (caches) => {
    const judge = createPathsJudge(
      caches.map(({ objects }) => objects),
      trust.policy,
    );
    const look = { ...trust, judge, withHistory: options.history };
    const all = await Promise.all(caches.map(({ objects }) => listOf(objects, names, look, context)));
    return all.flat();
  });
  if (options.json) return writeJson(context.stdout, { pins: listed.map(listedJson) });
  await writePins(listed, urls.length > 1, context);
}

/** What a refusal is called in a listing. */
const STATES: Readonly<Record<PinRefusal['kind'], Refused>> = {
  damaged: 'damaged',
  misplaced: 'renamed',
  'wrong-signature': 'wrong-signature',
  stranger: 'untrusted',
  unsigned: 'untrusted',
  older: 'older',
  expired: 'expired',
};

interface Trust {
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
}

interface Look extends Trust {
  readonly judge: PathsJudge;
  readonly withHistory: boolean;
}

/** All pins of a cache, or those of these names, which must be there. */
async function listOf(
  objects: ObjectStore,
  names: readonly string[],
  how: Look,
  context: Context,
): Promise<readonly Listed[]> {
  // A typing error in the URL would look like a cache without pins.
  await requireCacheInfo(objects);
  const all = names.length > 0 ? names : await namesIn(objects, how, context);
  const listed = await Promise.all(all.map((name) => look(objects, name, how)));
  const missing = names.find((_, index) => listed[index] === undefined);
  if (missing !== undefined) throw await noSuchPin(missing, [objects]);
  return listed.filter((one) => one !== undefined);
}

async function namesIn(objects: ObjectStore, { policy }: Look, context: Context): Promise<readonly string[]> {
  const { names, isTrusted } = await findPinNames(objects, policy);
  if (!isTrusted) {
    const message = `no trusted key has signed the list of the pins of \`${objects.url}\`: there may be others`;
    warnPeople(context)({ type: 'warning', message });
  }
  return names;
}

async function look(
  objects: ObjectStore,
  name: string,
  { policy, seen, judge, withHistory }: Look,
): Promise<Listed | undefined> {
  const cache = objects.url;
  const pin = await readPin(objects, name).catch(ifDamaged);
  if (pin === undefined) return undefined;
  if (pin === 'damaged') return { name, cache, state: 'damaged', older: [] };
  const refusal = judgeOrigin(pin, name, policy) ?? (await judgeAge(pin, cache, policy, seen));
  const stateOf = async (value: PinValue) => (refusal && STATES[refusal.kind]) ?? (await judge(value)) ?? 'good';
  const older = withHistory ? await Promise.all(pin.history.map(stateOf)) : [];
  return { name, cache, pin, state: await stateOf(pin), older };
}

function listedJson({ pin, name, state, older, cache }: Listed) {
  if (pin === undefined) return { name, state, cache };
  const history = pin.history.map((value, at) => ({ ...value, ...(older[at] && { state: older[at] }) }));
  return { ...pinJson(pin), history, state, cache };
}

interface Search extends Trust {
  readonly objects: ObjectStore;
  readonly storeDir: string;
  readonly selected: Settings['store'];
}

type FoundPaths = Omit<PinValue, 'since'> & { readonly infos: readonly NarInfo[] };

/** What an argument means in a cache: the paths of another pin, or one path; the cache must have them, signed. */
async function pathsOf(what: string, search: Search, context: Context): Promise<FoundPaths> {
  const { objects, storeDir, policy, seen, selected } = search;
  const reference = parsePinReference(what);
  if (reference) {
    const found = await findPin([objects], reference, policy, seen, () => undefined);
    if (found === undefined) throw await noSuchPin(reference.name, [objects]);
    const { storePaths, derivations } = found.value;
    const paths = [...storePaths, ...derivations];
    const infos = await Promise.all(paths.map((path) => requirePath(path, hashPartOf(path), search)));
    return { storePaths, derivations, infos };
  }
  const store = await openStoreForReading(selected.value, context.env);
  checkStoreDir(objects, storeDir, store.storeDir);
  const info = await requirePath(what, await resolveHashPart(what, store), search);
  if (!isDerivationPath(info.path)) return { storePaths: [info.path], derivations: [], infos: [info] };
  throw new CarportError('E_USAGE', `\`${info.path}\` is a derivation: its pin would not say which outputs to take`, {
    hint: 'name its outputs, or push it with `--closure build --pin NAME`, which pins the outputs and keeps the rest',
  });
}

/** What the cache has of a hash part, when readers would take it. */
async function requirePath(what: string, hashPart: string, { objects, policy }: Search): Promise<NarInfo> {
  const info = await readNarInfo(objects, hashPart);
  if (info === undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${what}\` is not in \`${objects.url}\``, {
      hint: 'a pin is for what the cache has: push it first, or in one go: `carport push … --pin NAME`',
    });
  }
  if (verifyPath(info, policy.keys).state !== 'valid') {
    throw new CarportError('E_SIGNATURE', `\`${info.path}\` in \`${objects.url}\` is not signed by your key`, {
      hint: 'readers would refuse it: push it with `--secret-key` to sign it, or name the key that signed it with `--trusted-key`',
    });
  }
  await requireNar(objects, info);
  return info;
}

function pinJson({ name, id, updatedAt, expiresAt, since, storePaths, derivations, history, signatures }: Pin) {
  return { name, id, updatedAt, expiresAt, since, storePaths, derivations, history, signatures };
}

const ifDamaged = insteadOf('E_INTEGRITY', 'damaged' as const);
