import type { ObjectStore } from '../cache/object-store/object-store.js';
import type { PinPolicy } from '../cache/pins/check.js';
import { findPin } from '../cache/pins/find.js';
import { type PinReference, parsePinReference } from '../cache/pins/reference.js';
import type { SeenPins } from '../cache/pins/seen.js';
import type { WantedRoot } from '../cache/pull/plan.js';
import { CarportError } from '../lib/errors.js';
import type { Emit } from '../lib/events.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import type { PulledPin } from '../lib/store/pulled-pins.js';
import type { Store } from '../lib/store/store.js';
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

/** Resolves arguments: a bare word is a pin of the caches if they have it, and otherwise a path or a link to one. */
export async function resolveWanted(
  words: readonly string[],
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
  source: PinSource,
): Promise<Wanted> {
  const found = await Promise.all(
    words.map(async (word): Promise<Wanted> => {
      const reference = parsePinReference(word);
      if (reference === undefined) return { roots: [{ hashPart: await resolveHashPart(word, store) }], pins: [] };
      const pin = await pulledPin(reference, source);
      if (pin === undefined) return { roots: [{ hashPart: await linkedPart(reference, store, source) }], pins: [] };
      return { roots: pin.storePaths.map((path) => ({ path, hashPart: hashPartOf(path) })), pins: [pin] };
    }),
  );
  const roots = new Map(found.flatMap((wanted) => wanted.roots).map((root) => [root.hashPart, root]));
  return { roots: [...roots.values()], pins: found.flatMap(({ pins }) => pins) };
}

async function pulledPin(
  reference: PinReference,
  { caches, policy, seen, emit }: PinSource,
): Promise<PulledPin | undefined> {
  const found = await findPin(caches, reference, policy, seen, emit);
  if (found === undefined) return undefined;
  const { pin, value, objects } = found;
  return { reference: reference.text, storePaths: value.storePaths, from: objects.url, updatedAt: pin.updatedAt };
}

/** `result` may be a link here. */
async function linkedPart(
  { text, name }: PinReference,
  store: Pick<Store, 'storeDir' | 'realStoreDirs'>,
  { caches }: PinSource,
): Promise<string> {
  try {
    return await resolveHashPart(text, store);
  } catch (cause) {
    const urls = caches.map(({ url }) => `\`${url}\``).join(', ');
    throw new CarportError('E_NOT_FOUND', `there is no pin \`${name}\` in ${urls}, and no link of that name here`, {
      cause,
      hint: '`carport pin ls --from CACHE` prints the pins of a cache',
    });
  }
}
