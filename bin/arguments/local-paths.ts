/** Arguments that are pulled pins or paths, here. */

import { isHashPart } from '../../lib/nix/store-path.js';
import { nixPins } from '../../lib/store/nix/pins.js';
import { NIX, openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import { isPinReference, type PinStore, readPulledPin } from '../../lib/store/own/pulled-pins.js';
import { resolveStorePath } from '../../lib/store/resolve.js';
import type { Store } from '../../lib/store/store.js';
import type { Context } from '../cli/context.js';
import type { Settings } from '../settings/setting.js';
import { expandStdin } from './paths.js';

/** What is on this machine: paths, and pins that were pulled. */
export interface LocalPaths {
  readonly store: Store;
  /** carport's own store, if it is looked into. */
  readonly own: OwnStore | undefined;
  readonly pins: readonly PinStore[];
}

/** What `--store` names, or all that there is. `asked` are paths of which the closure will surely be asked for. */
export async function openLocalPaths(
  settings: Pick<Settings, 'store'>,
  { env, answer }: Context,
  asked: readonly string[] = [],
): Promise<LocalPaths> {
  const selection = settings.store.value;
  const store = await openStoreForReading(selection, env, asked, asked.length > 0 ? answer : undefined);
  const own = openOwnForReading(selection, env);
  const nix = selection === undefined || selection === NIX ? [nixPins(env)] : [];
  return { store, own, pins: [...(own ? [own] : []), ...nix].filter(({ storeDir }) => storeDir === store.storeDir) };
}

/** What is in carport's own store. */
export function pathsOfOwn(store: OwnStore): LocalPaths {
  return { store, own: store, pins: [store] };
}

/** What a pin stood for when it was pulled, from one of these caches if any are given. */
export async function pulledPaths(
  reference: string,
  { pins }: LocalPaths,
  caches?: readonly string[],
): Promise<readonly string[] | undefined> {
  if (!isPinReference(reference)) return undefined;
  for (const place of pins) {
    const pin = await readPulledPin(place, reference, caches);
    if (pin) return pin.storePaths;
  }
  return undefined;
}

/** The store paths that arguments mean, each once: pins that were pulled, then paths and links; `-` is a list on stdin. */
export async function resolveLocalPaths(
  targets: readonly string[],
  here: LocalPaths,
  context: Context,
): Promise<readonly string[]> {
  const words = await expandStdin(targets, context);
  const found = await Promise.all(
    words.map(async (what) => (await pulledPaths(what, here)) ?? [await resolveLocalPath(what, here)]),
  );
  return [...new Set(found.flat())];
}

/** The store path that an argument means: a path, a link, or a hash part that is here. */
export async function resolveLocalPath(what: string, { store }: LocalPaths): Promise<string> {
  const path = isHashPart(what) ? (await store.queryHashParts()).get(what) : undefined;
  return path ?? resolveStorePath(what, store);
}
