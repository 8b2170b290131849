/** The repositories that images of a plan go to: which tags they have, and which they are to get. */

import type { PublishedBuild, VersionOrder } from '../../../image/publication/tags.js';
import { type ChosenTag, chooseTags, fillIn, newerStable } from '../../../image/publication/tags.js';
import type { Destination } from '../../../image/publication/units.js';
import { CarportError, insteadOf } from '../../../lib/errors.js';
import { parseReference, type RegistryReference, renderReference } from '../../../lib/oci/reference.js';
import type { ImageStore } from '../../../lib/oci/store.js';
import { isLocal } from '../places.js';
import { type OpenReference, openRegistry, type RegistryUse } from '../registries.js';
import { titleOf } from './plan.js';
import { placesOf } from './words.js';

/** A tag that is to be given, and the image that has it now. */
export interface WantedTag extends ChosenTag {
  readonly was: string | undefined;
  /** The newer stable version because of which it stays where it is. */
  readonly newer?: string | undefined;
}

/** A destination as it is now. */
export interface Repository {
  readonly destination: Destination;
  readonly open: OpenReference;
  readonly tags: readonly WantedTag[];
  /** Looks again: others publish, too, while everything is built and sent. */
  lookAgain(tags: readonly WantedTag[]): Promise<readonly WantedTag[]>;
}

/** Looks which tags a destination has. `from`: the image of the same registry that its blobs may be taken from. */
export async function lookInto(
  destination: Destination,
  {
    build,
    order,
    from,
  }: { readonly build: PublishedBuild; readonly order: VersionOrder; readonly from?: RegistryReference | undefined },
  use: RegistryUse,
): Promise<Repository> {
  const { image, variant, repository } = destination;
  const suffix = variant?.suffix ?? '';
  const chosen = chooseTags(image.tags, suffix, build);
  if (chosen.length === 0) {
    throw new CarportError('E_USAGE', `no tag of ${titleOf(destination)} is for a build of this channel`, {
      hint: 'add one to `tags`: `{commit}`, `dev`, or `{ tag = "nightly", when = "development" }`',
    });
  }
  const open = openRegistry(repository, use, { writes: true, from });
  const others = image.variants.map((each) => each.suffix).filter((each) => each !== suffix);
  const lookAgain = async (tags: readonly ChosenTag[]): Promise<readonly WantedTag[]> => {
    const newer = tags.some(({ onlyNewest }) => onlyNewest)
      ? newerStable(build.version!, await tagsOf(open.store), { suffix, others }, order)
      : undefined;
    const wanted: WantedTag[] = [];
    for (const { tag, stays, onlyNewest } of tags) {
      const was = (await open.store.manifest(tag))?.descriptor.digest;
      wanted.push({ tag, stays, onlyNewest, was, ...(onlyNewest && newer !== undefined && { newer }) });
    }
    return wanted;
  };
  try {
    return { destination, open, tags: await lookAgain(chosen), lookAgain };
  } catch (error) {
    await open.store.close();
    throw error;
  }
}

/** Throws where two images would be given one tag: the second would take it from the first. */
export function checkApart(destinations: readonly Destination[], build: PublishedBuild): void {
  const owners = new Map<string, Destination>();
  for (const destination of destinations) {
    const { image, variant, repository, unit } = destination;
    for (const { tag } of chooseTags(image.tags, variant?.suffix ?? '', build)) {
      const name = renderReference({ ...parseReference(repository, { plainHttp: true }), tag, digest: undefined });
      const owner = owners.get(name) ?? destination;
      owners.set(name, owner);
      if (owner.unit === unit) continue;
      throw new CarportError('E_USAGE', `\`${owner.unit.id}\` and \`${unit.id}\` are both to be \`${name}\``, {
        hint: 'give one of them another `repository`, `suffix` or `tags`',
      });
    }
  }
}

/** The image of a registry whose blobs are in an image that goes there, too: the one below it that was sent, or its base. */
export function belowOf(
  { unit, registry }: Destination,
  all: readonly Repository[],
  build: PublishedBuild,
): RegistryReference | undefined {
  let outermost = unit;
  for (let on = unit.on; on; on = on.on) {
    const found = all.find(({ destination }) => destination.unit === on && destination.registry === registry);
    if (found) return found.open.reference;
    outermost = on;
  }
  const { base } = outermost.recipe;
  if (base === undefined || isLocal(base)) return undefined;
  return parseReference(fillIn(base, build, placesOf(unit.platforms?.[0])), { plainHttp: true });
}

/** Before the first push there is no repository. */
function tagsOf(store: ImageStore): Promise<readonly string[]> {
  return store.tags().catch(insteadOf('E_NOT_FOUND', []));
}

/** Throws where the tag of a version is that of another image. */
export function checkTaken({ destination, tags }: Repository, digest: string): void {
  const taken = tags.find(({ stays, was }) => stays && was !== undefined && was !== digest);
  if (taken === undefined) return;
  throw new CarportError('E_USAGE', `${titleOf(destination)} has another image \`${taken.tag}\`: \`${taken.was}\``, {
    hint: 'what is published does not change: take another version, or give its tag to this image with `--replace`',
  });
}
