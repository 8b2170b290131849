/** Arguments of a pull: pins and paths. */

import { lstat } from 'node:fs/promises';
import type { PinPolicy } from '../../cache/pins/check.js';
import { findPin } from '../../cache/pins/find.js';
import { type PinReference, parsePinReference } from '../../cache/pins/reference.js';
import type { SeenPins } from '../../cache/pins/seen.js';
import type { WantedRoot } from '../../cache/pull/plan.js';
import { CarportError } from '../../lib/errors.js';
import type { Emit } from '../../lib/events.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PulledPin } from '../../lib/store/own/pulled-pins.js';
import type { Store } from '../../lib/store/store.js';
import { resolveHashPart } from './paths.js';

/** What the arguments of a pull mean. */
export interface Wanted {
  /** Each path once, in the order in which it was named. */
  readonly roots: readonly WantedRoot[];
  /** The pins that were named, as they are now. */
  readonly pins: readonly PulledPin[];
}

interface PinSource {
  readonly caches: readonly ObjectStore[];
  readonly policy: PinPolicy;
  readonly seen: SeenPins;
  readonly emit: Emit;
}

/** Resolves arguments: a bare word is a pin, which the caches must have; a link has a `/`. */
export async function resolveWanted(
  words: readonly string[],
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
  source: PinSource,
): Promise<Wanted> {
  const found = await Promise.all(
    words.map(async (word): Promise<Wanted> => {
      const reference = parsePinReference(word);
      if (reference === undefined) return { roots: [{ hashPart: await resolveHashPart(word, store) }], pins: [] };
      const pin = await requirePin(reference, source);
      return { roots: pin.storePaths.map((path) => ({ path, hashPart: hashPartOf(path) })), pins: [pin] };
    }),
  );
  const roots = new Map(found.flatMap((wanted) => wanted.roots).map((root) => [root.hashPart, root]));
  return { roots: [...roots.values()], pins: found.flatMap(({ pins }) => pins) };
}

async function requirePin(reference: PinReference, { caches, policy, seen, emit }: PinSource): Promise<PulledPin> {
  const { text, name } = reference;
  const found = await findPin(caches, reference, policy, seen, emit);
  if (found === undefined) throw await noSuchPin(name, caches);
  const { pin, value, objects } = found;
  return { reference: text, storePaths: value.storePaths, from: objects.url, updatedAt: pin.updatedAt };
}

/** Who types `result` may mean the link. */
export async function noSuchPin(
  name: string,
  caches: readonly Pick<ObjectStore, 'url' | 'list'>[],
): Promise<CarportError> {
  const urls = caches.map(({ url }) => `\`${url}\``).join(', ');
  const isFile = (await lstat(name).catch(() => undefined)) !== undefined;
  const hint = isFile
    ? `a bare word is a pin; if you mean what lies here, type \`./${name}\``
    : caches.some(({ list }) => list)
      ? '`carport pin ls --from CACHE` prints the pins of a cache'
      : 'check the name; the pins of a web server cannot be listed';
  return new CarportError('E_NOT_FOUND', `there is no pin \`${name}\` in ${urls}`, { hint });
}
