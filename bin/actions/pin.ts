import { checkStoreDir, readNarInfo, requireCacheInfo } from '../../cache/binary-cache.js';
import { parseCacheUrl } from '../../cache/cache-url.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { judgeAge, judgeOrigin, type PinPolicy, type PinRefusal } from '../../cache/pins/check.js';
import { findPin } from '../../cache/pins/find.js';
import type { Pin, PinValue } from '../../cache/pins/pin.js';
import { listPinNames, readPin, removePin } from '../../cache/pins/pins.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import type { SeenPins } from '../../cache/pins/seen.js';
import { checkPinName, previousPin, requirePinKeys, setPin } from '../../cache/pins/set.js';
import { CarportError } from '../../lib/errors.js';
import { isDerivationPath } from '../../lib/nix/derivation/derivation.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { withOwnKeys } from '../../lib/signing/trust.js';
import { openStoreForReading } from '../../lib/store/open.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../context.js';
import { loadSecretKeys } from '../keys.js';
import { expandStdin, resolveHashPart } from '../paths.js';
import type { PinWriteOptions } from '../pin-options.js';
import { pinPolicyOf, pinRequestOf, seenPinsOf } from '../pins.js';
import { printable } from '../printable.js';
import { requireCache, type Setting, singleValue } from '../settings.js';
import { count } from '../terminal.js';
import { noSuchPin } from '../wanted.js';
import { cacheUse, withCache, withCaches } from '../with-caches.js';

export interface PinSetOptions extends CommonOptions, PinWriteOptions {}
export type PinRemoveOptions = CommonOptions;
export interface PinListOptions extends CommonOptions {
  readonly history?: boolean;
}

export async function set(
  name: string,
  whats: readonly string[],
  options: PinSetOptions,
  context: Context,
): Promise<void> {
  checkPinName(name);
  const settings = await settingsOf({ ...options }, context);
  const to = requireCache(settings.to);
  const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...parseCacheUrl(to).secretKeyFiles]);
  const policy = pinPolicyOf(settings, { allowRollback: options.allowRollback === true });
  const signing = { keys: requirePinKeys(name, keys), policy, seen: seenPinsOf(context) };
  const request = pinRequestOf(name, options);
  const search = { policy: withOwnKeys(policy, keys), seen: signing.seen, selected: settings.store };
  await withCache(to, cacheUse(settings, options, context), async ({ objects }) => {
    const { storeDir } = await requireCacheInfo(objects);
    const previous = await previousPin(objects, request, signing);
    const words = await expandStdin(whats, context);
    const found = await Promise.all(words.map((what) => pathsOf(what, { objects, storeDir, ...search }, context)));
    const storePaths = [...new Set(found.flatMap((value) => value.storePaths))];
    const derivations = [...new Set(found.flatMap((value) => value.derivations))];
    const pin = await setPin(objects, { storePaths, derivations }, request, signing);
    if (options.json) return writeJson(context.stdout, pinJson(pin));
    const change = previous === undefined ? 'is new' : previous.since === pin.since ? 'is as it was' : 'has changed';
    note(context, options, `\`${name}\` ${change}: ${count(storePaths.length, 'path')}`);
  });
}

export async function remove(names: readonly string[], options: PinRemoveOptions, context: Context): Promise<void> {
  for (const name of names) checkPinName(name);
  const settings = await settingsOf({ ...options }, context);
  await withCache(requireCache(settings.to), cacheUse(settings, options, context), async ({ objects }) => {
    // All are looked for before any is removed. One that is damaged can be removed, too.
    const pins = await Promise.all(names.map((name) => readPin(objects, name).catch(ignoreDamage)));
    const missing = names.find((_, index) => pins[index] === undefined);
    if (missing !== undefined) throw await noSuchPin(missing, [objects]);
    for (const name of names) await removePin(objects, name);
    const removed = pins.filter((pin): pin is Pin => pin !== undefined && pin !== 'damaged');
    if (options.json) return writeJson(context.stdout, { removed: names });
    for (const { name, storePaths } of removed)
      note(context, options, `\`${name}\` is gone; it was ${storePaths.join(' ')}`);
  });
}

export async function list(names: readonly string[], options: PinListOptions, context: Context): Promise<void> {
  for (const name of names) checkPinName(name);
  const settings = await settingsOf({ ...options }, context);
  const { values } = settings.from;
  const urls = values.length > 0 ? values : [requireCache(settings.to, 'from')];
  const trust = { policy: pinPolicyOf(settings, {}), seen: seenPinsOf(context) };
  const listed = await withCaches(urls, cacheUse(settings, options, context), async (caches) => {
    const all = await Promise.all(caches.map(({ objects }) => listOf(objects, names, trust)));
    return all.flat();
  });
  if (options.json) return writeJson(context.stdout, { pins: listed.map(listedJson) });
  const showCache = urls.length > 1;
  const text = listed.flatMap((one) => lines(one, options.history === true, showCache));
  await writeLines(context.stdout, text.map(printable));
}

interface Listed {
  readonly name: string;
  readonly cache: string;
  readonly pin?: Pin;
  readonly state: 'good' | PinRefusal['state'] | 'damaged';
}

interface Trust {
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
}

/** All pins of a cache, or those of these names, which must be there. */
async function listOf(objects: ObjectStore, names: readonly string[], trust: Trust): Promise<readonly Listed[]> {
  // A typing error in the URL would look like a cache without pins.
  await requireCacheInfo(objects);
  const all = names.length > 0 ? names : await listPinNames(objects);
  const listed = await Promise.all(all.map((name) => look(objects, name, trust)));
  const missing = names.find((_, index) => listed[index] === undefined);
  if (missing !== undefined) throw await noSuchPin(missing, [objects]);
  return listed.filter((one) => one !== undefined);
}

async function look(objects: ObjectStore, name: string, { policy, seen }: Trust): Promise<Listed | undefined> {
  const cache = objects.url;
  const pin = await readPin(objects, name).catch(ignoreDamage);
  if (pin === undefined) return undefined;
  if (pin === 'damaged') return { name, cache, state: 'damaged' };
  const refusal = judgeOrigin(pin, name, policy) ?? (await judgeAge(pin, cache, policy, seen));
  return { name, cache, pin, state: refusal?.state ?? 'good' };
}

function listedJson({ pin, name, state, cache }: Listed) {
  return { ...(pin ? pinJson(pin) : { name }), state, cache };
}

function lines({ name, pin, state, cache }: Listed, withHistory: boolean, showCache: boolean): readonly string[] {
  const where = showCache ? `  ${cache}` : '';
  if (pin === undefined) return [`${name}${where}  ${state}`];
  const row = (text: string, { since, storePaths }: PinValue) =>
    `${text}${where}  ${since}  ${state}  ${storePaths.join(' ')}`;
  const older = withHistory ? pin.history.map((value) => row(`${name}@${value.since}`, value)) : [];
  return [row(name, pin), ...older];
}

interface Search extends Trust {
  readonly objects: ObjectStore;
  readonly storeDir: string;
  readonly selected: Setting;
}

/** What an argument means in a cache: the paths of another pin, or one path; the cache must have them, signed. */
async function pathsOf(what: string, search: Search, context: Context): Promise<Omit<PinValue, 'since'>> {
  const { objects, storeDir, policy, seen, selected } = search;
  const reference = parsePinReference(what);
  if (reference) {
    const found = await findPin([objects], reference, policy, seen, () => undefined);
    if (found === undefined) throw await noSuchPin(reference.name, [objects]);
    const { storePaths, derivations } = found.value;
    await Promise.all([...storePaths, ...derivations].map((path) => requirePath(path, hashPartOf(path), search)));
    return { storePaths, derivations };
  }
  const store = await openStoreForReading(singleValue(selected), context.env);
  checkStoreDir(objects, storeDir, store.storeDir);
  const path = await requirePath(what, await resolveHashPart(what, store), search);
  if (!isDerivationPath(path)) return { storePaths: [path], derivations: [] };
  throw new CarportError('E_USAGE', `\`${path}\` is a derivation: its pin would not say which outputs to take`, {
    hint: 'name its outputs, or push it with `--closure build --pin NAME`, which pins the outputs and keeps the rest',
  });
}

/** The path of a hash part in the cache, when readers would take it. */
async function requirePath(what: string, hashPart: string, { objects, policy }: Search): Promise<string> {
  const info = await readNarInfo(objects, hashPart);
  if (info === undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${what}\` is not in \`${objects.url}\``, {
      hint: 'a pin is for what the cache has: push it first, or in one go: `carport push … --pin NAME`',
    });
  }
  if (verifyPath(info, policy.keys).state === 'valid') return info.path;
  throw new CarportError('E_SIGNATURE', `\`${info.path}\` in \`${objects.url}\` is not signed by your key`, {
    hint: 'readers would refuse it: push it with `--secret-key` to sign it, or name its key with `--trusted-key`',
  });
}

function pinJson({ name, id, updatedAt, expiresAt, since, storePaths, derivations, history, signatures }: Pin) {
  return { name, id, updatedAt, expiresAt, since, storePaths, derivations, history, signatures };
}

function ignoreDamage(error: unknown): 'damaged' {
  if (error instanceof CarportError && error.code === 'E_INTEGRITY') return 'damaged';
  throw error;
}
