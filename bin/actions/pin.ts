import { checkStoreDir, readNarInfo, requireCacheInfo } from '../../cache/binary-cache.js';
import { parseCacheUrl } from '../../cache/cache-url.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { judgePin, type PinPolicy, type PinVerdict } from '../../cache/pins/check.js';
import { findPin } from '../../cache/pins/find.js';
import type { Pin, PinValue } from '../../cache/pins/pin.js';
import { listPinNames, readPin, removePin } from '../../cache/pins/pins.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import type { SeenPins } from '../../cache/pins/seen.js';
import { checkPinName, previousPin, requirePinKeys, setPin } from '../../cache/pins/set.js';
import { CarportError } from '../../lib/errors.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { openStoreForReading } from '../../lib/store/open.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, writeJson, writeLines } from '../context.js';
import { loadSecretKeys } from '../keys.js';
import { expandStdin, resolveHashPart } from '../paths.js';
import { type PinWriteOptions, pinPolicyOf, pinRequestOf, seenPinsOf } from '../pins.js';
import { printable } from '../printable.js';
import { type Setting, type Settings, singleValue } from '../settings.js';
import { count } from '../terminal.js';
import { withCache } from '../with-caches.js';

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
  const policy = pinPolicyOf(settings, {});
  const signing = { keys: requirePinKeys(name, keys), policy, seen: seenPinsOf(context) };
  const request = pinRequestOf(name, options);
  const trusted = { ...policy, keys: [...keys.map(({ publicKey }) => publicKey), ...policy.keys] };
  await withCache(to, useOf(settings, options, context), async ({ objects }) => {
    const { storeDir } = await requireCacheInfo(objects);
    const previous = await previousPin(objects, request, signing);
    const words = await expandStdin(whats, context);
    const selected = settings.store;
    const found = await Promise.all(
      words.map((what) => pathsOf(what, { objects, storeDir, policy: trusted, selected }, context)),
    );
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
  await withCache(requireCache(settings.to), useOf(settings, options, context), async ({ objects }) => {
    // All are looked for before any is removed. One that is damaged can be removed, too.
    const pins = await Promise.all(names.map((name) => readPin(objects, name).catch(ignoreDamage)));
    const missing = names.find((_, index) => pins[index] === undefined);
    if (missing !== undefined) throw noSuchPin(missing, objects);
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
  const from = settings.from.values[0] ?? requireCache(settings.to, 'from');
  const [policy, seen] = [pinPolicyOf(settings, {}), seenPinsOf(context)];
  await withCache(from, useOf(settings, options, context), async ({ objects }) => {
    // A typing error in the URL would look like a cache without pins.
    await requireCacheInfo(objects);
    const all = names.length > 0 ? names : await listPinNames(objects);
    const listed = await Promise.all(all.map((name) => look(objects, name, policy, seen)));
    const missing = listed.find(({ state }) => state === 'missing');
    if (missing && names.length > 0) throw noSuchPin(missing.name, objects);
    const there = listed.filter(({ state }) => state !== 'missing');
    if (options.json) {
      const pins = there.map(({ pin, name, state }) => ({ ...(pin ? pinJson(pin) : { name }), state }));
      return writeJson(context.stdout, { pins });
    }
    await writeLines(context.stdout, there.flatMap((one) => lines(one, options.history === true)).map(printable));
  });
}

interface Listed {
  readonly name: string;
  readonly pin?: Pin;
  readonly state: PinVerdict['state'] | 'missing' | 'damaged';
}

async function look(objects: ObjectStore, name: string, policy: PinPolicy, seen: SeenPins): Promise<Listed> {
  const pin = await readPin(objects, name).catch(ignoreDamage);
  if (pin === undefined) return { name, state: 'missing' };
  if (pin === 'damaged') return { name, state: 'damaged' };
  return { name, pin, state: (await judgePin(pin, name, policy, seen)).state };
}

function lines({ name, pin, state }: Listed, withHistory: boolean): readonly string[] {
  if (pin === undefined) return [`${name}  ${state}`];
  const row = (text: string, { since, storePaths }: PinValue) => `${text}  ${since}  ${state}  ${storePaths.join(' ')}`;
  const older = withHistory ? pin.history.map((value) => row(`${name}@${value.since}`, value)) : [];
  return [row(name, pin), ...older];
}

interface Search {
  readonly objects: ObjectStore;
  readonly storeDir: string;
  readonly policy: PinPolicy;
  readonly selected: Setting;
}

/** The paths of a cache that an argument means: those of another pin, or one that it has and that is signed. */
async function pathsOf(
  what: string,
  { objects, storeDir, policy, selected }: Search,
  context: Context,
): Promise<Omit<PinValue, 'since'>> {
  const reference = parsePinReference(what);
  if (reference) {
    const found = await findPin([objects], reference, policy, seenPinsOf(context), () => undefined);
    if (found) return found.value;
  }
  const store = await openStoreForReading(singleValue(selected), context.env);
  checkStoreDir(objects, storeDir, store.storeDir);
  const info = await readNarInfo(objects, await resolveHashPart(what, store));
  if (info === undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${what}\` is not in \`${objects.url}\``, {
      hint: 'a pin is for what the cache has: push it first, or in one go: `carport push … --pin NAME`',
    });
  }
  if (verifyPath(info, policy.keys).state === 'valid') return { storePaths: [info.path], derivations: [] };
  throw new CarportError('E_SIGNATURE', `\`${info.path}\` in \`${objects.url}\` is not signed by your key`, {
    hint: 'readers would refuse it: push it with `--secret-key` to sign it, or name its key with `--trusted-key`',
  });
}

function pinJson({ name, updatedAt, expiresAt, since, storePaths, derivations, history, signatures }: Pin) {
  return { name, updatedAt, expiresAt, since, storePaths, derivations, history, signatures };
}

function requireCache(setting: Setting, option: 'to' | 'from' = 'to'): string {
  const url = singleValue(setting);
  if (url !== undefined) return url;
  throw new CarportError('E_USAGE', 'it is not said which cache', {
    hint: `give \`--${option} s3://bucket?endpoint=…\` or \`--${option} file:///path/of/cache\`, or set CARPORT_${option.toUpperCase()}`,
  });
}

function useOf(settings: Settings, options: CommonOptions, context: Context) {
  return { settings, context, warn: (message: string) => note(context, options, `warning: ${message}`) };
}

function noSuchPin(name: string, objects: ObjectStore): CarportError {
  return new CarportError('E_NOT_FOUND', `\`${objects.url}\` has no pin \`${name}\``, {
    hint: '`carport pin ls --from CACHE` prints those that there are',
  });
}

function ignoreDamage(error: unknown): 'damaged' {
  if (error instanceof CarportError && error.code === 'E_INTEGRITY') return 'damaged';
  throw error;
}
