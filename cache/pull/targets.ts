/** What a pull is asked for: pins, which the caches have, and paths. */

import { lstat } from 'node:fs/promises';
import { CarportError } from '../../lib/errors.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import { isListable, type ObjectStore, type ReadStore } from '../../lib/object-store/object-store.js';
import type { PulledPin } from '../../lib/store/own/pulled-pins.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { PinPolicy } from '../pins/check.js';
import { findPin } from '../pins/find.js';
import type { PinReference } from '../pins/reference.js';
import type { SeenPins } from '../pins/seen.js';
import { requireOneLock } from '../toolchains/locked.js';
import type { WantedRoot } from './plan.js';

/** One thing that is asked for. */
export type Target = { readonly pin: PinReference } | WantedRoot;

/** What the targets of a pull mean now. */
export interface FoundTargets {
  /** Each path once, in the order in which it was named. */
  readonly roots: readonly WantedRoot[];
  /** The pins that were named, as they are now. */
  readonly pins: readonly PulledPin[];
}

/** Where pins are looked for, and which are accepted. */
export interface PinSource {
  readonly caches: readonly ObjectStore[];
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  readonly emit: Emit<WarningEvent>;
}

/** Finds what targets mean; a pin that no cache has is `E_NOT_FOUND`. */
export async function findTargets(targets: readonly Target[], source: PinSource): Promise<FoundTargets> {
  const found = await Promise.all(
    targets.map(async (target): Promise<FoundTargets> => {
      if ('hashPart' in target) return { roots: [target], pins: [] };
      const pin = await requirePin(target.pin, source);
      return { roots: pin.storePaths.map((path) => ({ path, hashPart: hashPartOf(path) })), pins: [pin] };
    }),
  );
  return { roots: eachOnce(found.flatMap(({ roots }) => roots)), pins: found.flatMap(({ pins }) => pins) };
}

/** What is named twice is asked for once, as whoever says most of it wants it: a lock holds whatever else names the path. */
function eachOnce(roots: readonly WantedRoot[]): readonly WantedRoot[] {
  const paths = new Map(roots.flatMap(({ hashPart, path }) => (path === undefined ? [] : [[hashPart, path] as const])));
  const wanted = new Map<string, WantedRoot>();
  for (const { hashPart, path = paths.get(hashPart), locked } of roots) {
    // Of two names with one hash part, one will be refused.
    const key = path ?? hashPart;
    const before = wanted.get(key)?.locked;
    if (before && locked) requireOneLock(key, before, locked);
    const lock = before ?? locked;
    wanted.set(key, { hashPart, ...(path !== undefined && { path }), ...(lock && { locked: lock }) });
  }
  return [...wanted.values()];
}

async function requirePin(reference: PinReference, { caches, policy, seen, emit }: PinSource): Promise<PulledPin> {
  const { text, name } = reference;
  const found = await findPin(caches, reference, policy, seen, emit);
  if (found === undefined) throw await noSuchPin(name, caches);
  const { pin, value, objects } = found;
  return { reference: text, storePaths: value.storePaths, from: objects.url, updatedAt: pin.updatedAt };
}

/** The error for a pin that none of the caches has. Who types `result` may mean the link. */
export async function noSuchPin(name: string, caches: readonly ReadStore[]): Promise<CarportError> {
  const urls = caches.map(({ url }) => `\`${url}\``).join(', ');
  const isFile = (await lstat(name).catch(() => undefined)) !== undefined;
  const hint = isFile
    ? `a bare word is a pin; if you mean what lies here, type \`./${name}\``
    : caches.some(isListable)
      ? '`carport pin ls --cache CACHE` prints the pins of a cache'
      : 'check the name; `carport pin ls --cache CACHE` prints pins where the cache has a list of them';
  return new CarportError('E_NOT_FOUND', `there is no pin \`${name}\` in ${urls}`, { hint });
}
