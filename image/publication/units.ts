/** What of a plan is built, in order: images and variants, for regions where those are otherwise, each after what it is built on. */

import { CarportError } from '../../lib/errors.js';
import { parsePlatform, renderPlatform } from '../../lib/oci/platform.js';
import { suggestion } from '../../lib/suggestion.js';
import type { ImagePlan, PlannedImage, PlannedVariant, Recipe } from './document.js';

/** Something that is built once. */
export interface Unit {
  /** `spark`, `spark-gpu`, and for a region `spark@prc`. */
  readonly id: string;
  readonly recipe: Recipe;
  /** What it is built on, where that is of the plan. */
  readonly on?: Unit | undefined;
  /** Platforms as they are written in short; none where that is for the base or the machine to say. */
  readonly platforms?: readonly string[] | undefined;
}

/** A repository that a unit is pushed to. */
export interface Destination {
  readonly unit: Unit;
  readonly image: PlannedImage;
  readonly variant?: PlannedVariant | undefined;
  /** The name of the registry in the plan. */
  readonly registry?: string | undefined;
  /** Without a tag. */
  readonly repository: string;
}

export interface Publication {
  /** In the order in which they are built. */
  readonly units: readonly Unit[];
  readonly destinations: readonly Destination[];
}

/** What of a plan is asked for; nothing for all of it. */
export interface Selection {
  readonly names: readonly string[];
  readonly registries: readonly string[];
}

/** What is built and where it goes. Throws `E_USAGE` for a circle, a name that there is not, and a base that is not said whole. */
export function planPublication(plan: ImagePlan, { names, registries }: Selection): Publication {
  const { file, images } = plan;
  checkNames(names, idsOf(images), `image of \`${file}\``);
  checkNames(registries, Object.keys(plan.registries), `registry of \`${file}\``);
  const resolve = resolver(plan);
  const destinations: Destination[] = [];
  for (const image of images) {
    for (const variant of [undefined, ...image.variants]) {
      const isAsked = names.length === 0 || names.includes(image.name) || names.includes(idOf(image, variant));
      for (const registry of registriesOf(plan, image)) {
        // Also of those that are not asked for: a plan with a circle is wrong.
        const unit = resolve(image, variant, registry);
        const isThere = registries.length === 0 || (registry !== undefined && registries.includes(registry));
        if (!isAsked || !isThere || !(image.isPushed || names.includes(image.name))) continue;
        const prefix = registry === undefined ? undefined : plan.registries[registry]!.replace(/\/+$/, '');
        const repository = prefix === undefined ? image.repository : `${prefix}/${image.repository}`;
        destinations.push({ unit, image, variant, registry, repository });
      }
    }
  }
  return { units: inOrder(destinations.map(({ unit }) => unit)), destinations };
}

function registriesOf({ registries }: ImagePlan, image: PlannedImage): readonly (string | undefined)[] {
  const all = image.registries ?? Object.keys(registries);
  return all.length === 0 ? [undefined] : all;
}

function idOf({ name }: PlannedImage, variant: PlannedVariant | undefined): string {
  return variant === undefined ? name : `${name}-${variant.name}`;
}

function idsOf(images: readonly PlannedImage[]): readonly string[] {
  return images.flatMap((image) => [undefined, ...image.variants].map((variant) => idOf(image, variant)));
}

function checkNames(names: readonly string[], known: readonly string[], what: string): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new CarportError('E_USAGE', `\`${unknown}\` is no ${what}`, {
    hint: known.length === 0 ? 'there is none' : suggestion(unknown, known),
  });
}

type Resolve = (image: PlannedImage, variant: PlannedVariant | undefined, registry: string | undefined) => Unit;

/** Makes units, each once: those of two regions are one where they are made of the same. */
function resolver({ file, images }: ImagePlan): Resolve {
  const units = new Map<string, Unit>();
  const ids = new Map(
    images.flatMap((image) =>
      [undefined, ...image.variants].map((variant) => [idOf(image, variant), { image, variant }] as const),
    ),
  );
  if (ids.size < idsOf(images).length)
    throw new CarportError('E_USAGE', `an image and a variant are called the same (\`${file}\`)`, {
      hint: 'a variant is called as its image and itself: `app-gpu`',
    });
  const resolve = (
    image: PlannedImage,
    variant: PlannedVariant | undefined,
    registry: string | undefined,
    above: readonly string[],
  ): Unit => {
    const id = idOf(image, variant);
    if (above.includes(id)) {
      const circle = [...above.slice(above.indexOf(id)), id].map((each) => `\`${each}\``).join(' on ');
      throw new CarportError('E_USAGE', `images are built on each other: ${circle} (\`${file}\`)`, {
        hint: 'one of them needs another `base`',
      });
    }
    const region = registry === undefined ? undefined : image.regions[registry];
    const recipe = merged(merged(image, variant), region);
    const found = recipe.base === undefined ? undefined : ids.get(recipe.base);
    if (!found && recipe.base !== undefined) checkReference(recipe.base, id, file, [...ids.keys()]);
    // The variant of the base that is called so, too, unless the variant names its base itself.
    const isOwn = found && found.variant === undefined && variant?.base === undefined;
    const same = isOwn ? found.image.variants.find(({ name }) => name === variant?.name) : undefined;
    const on = found && resolve(found.image, same ?? found.variant, registry, [...above, id]);
    const platforms = platformsOf(recipe) ?? on?.platforms;
    const isOther = region !== undefined || on?.id.endsWith(`@${registry}`) === true;
    const unit: Unit = { id: isOther ? `${id}@${registry}` : id, recipe, on, platforms };
    const known = units.get(unit.id) ?? unit;
    units.set(unit.id, known);
    return known;
  };
  return (image, variant, registry) => resolve(image, variant, registry, []);
}

/** What one says in the place of the other; variables and labels of both. */
function merged(image: Recipe, more: Recipe | undefined): Recipe {
  const own: Recipe = {
    ...{ base: image.base, contents: image.contents, platforms: image.platforms, entrypoint: image.entrypoint },
    ...{ cmd: image.cmd, user: image.user, workdir: image.workdir, compression: image.compression },
    ...{ format: image.format, maxLayers: image.maxLayers, env: image.env, labels: image.labels },
  };
  if (more === undefined) return own;
  const env = { ...image.env, ...more.env };
  const labels = { ...image.labels, ...more.labels };
  const { name: _, suffix: __, ...others } = more as PlannedVariant;
  return { ...own, ...others, env, labels };
}

function platformsOf({ platforms, contents }: Recipe): readonly string[] | undefined {
  const named = platforms ?? (contents && !Array.isArray(contents) ? Object.keys(contents) : undefined);
  return named && [...new Set(named.map((text) => renderPlatform(parsePlatform(text, 'platforms'))))].sort();
}

/** A word alone is rather a name that is mistyped than an image of docker.io whose tag nobody knows. */
function checkReference(base: string, id: string, file: string, ids: readonly string[]): void {
  if (/[/:@]/.test(base)) return;
  throw new CarportError('E_USAGE', `\`${base}\`, which \`${id}\` is built on, is no image of \`${file}\``, {
    hint: `${suggestion(base, ids)}; one of docker.io is written with its tag, as \`docker.io/library/${base}:TAG\``,
  });
}

/** Each unit once, after what it is built on. */
function inOrder(units: readonly Unit[]): readonly Unit[] {
  const ordered = new Set<Unit>();
  const add = (unit: Unit): void => {
    if (unit.on) add(unit.on);
    ordered.add(unit);
  };
  for (const unit of units) add(unit);
  return [...ordered];
}

/** The words that a unit is made of for a platform. Throws `E_USAGE` where it has none for that. */
export function contentsFor({ id, recipe: { contents = [] } }: Unit, platform: string): readonly string[] {
  if (Array.isArray(contents)) return contents;
  const found = Object.entries(contents).find(([text]) => renderPlatform(parsePlatform(text, id)) === platform);
  if (found) return found[1];
  throw new CarportError('E_USAGE', `\`${id}\` has no \`contents\` for \`${platform}\``, {
    hint: `it has them for ${Object.keys(contents).join(', ')}`,
  });
}
