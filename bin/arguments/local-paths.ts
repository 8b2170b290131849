/** Arguments that are pulled pins or paths, here. */

import { hasCode } from '../../lib/errors.js';
import { isHashPart } from '../../lib/nix/store-path.js';
import { nixPins } from '../../lib/store/nix/pins.js';
import { NIX, openOwnForReading, openStoreForReading } from '../../lib/store/open.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import { isPinReference, type PinStore, readPulledPin } from '../../lib/store/own/pulled-pins.js';
import { resolveStorePath } from '../../lib/store/resolve.js';
import type { Store } from '../../lib/store/store.js';
import { type Context, say } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
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
  { env, answers }: Context,
  asked: readonly string[] = [],
): Promise<LocalPaths> {
  const selection = settings.store.value;
  const store = await openStoreForReading(selection, env, asked, asked.length > 0 ? answers : []);
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

/** The store paths that arguments mean, each once: paths and links, or pins that were pulled; `-` is a list on stdin. */
export async function resolveLocalPaths(
  targets: readonly string[],
  here: LocalPaths,
  context: Context,
): Promise<readonly string[]> {
  const words = await expandStdin(targets, context);
  const found = await Promise.all(words.map((what) => resolveWord(what, here, context)));
  return [...new Set(found.flat())];
}

/**
 * A link of the working directory goes before a pin of its name: a build that has made `result` pushes that, whatever was
 * pulled here before. One that leads to what the pin stands for is that of the pull.
 */
async function resolveWord(what: string, here: LocalPaths, context: Context): Promise<readonly string[]> {
  const pinned = await pulledPaths(what, here);
  if (pinned === undefined) return [await resolveLocalPath(what, here)];
  const linked = await resolveLocalPath(what, here).catch((error) => {
    if (hasCode(error, 'E_NOT_FOUND') || hasCode(error, 'E_USAGE')) return undefined;
    throw error;
  });
  if (linked === undefined || pinned.includes(linked)) return pinned;
  const message = `\`${what}\` is taken for what lies here, \`${linked}\`, and not for the pin that was pulled, \`${pinned[0]}\`: \`./${what}\` says so`;
  say(context, `${printableLine(`warning: ${message}`)}\n`);
  return [linked];
}

/** The store path that an argument means: a path, a link, or a hash part that is here. */
export async function resolveLocalPath(what: string, { store }: LocalPaths): Promise<string> {
  const path = isHashPart(what) ? (await store.queryHashParts()).get(what) : undefined;
  return path ?? resolveStorePath(what, store);
}
