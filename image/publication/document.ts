/** The images that a project's `carport.toml` names: `[[image]]`, and the registries that they go to. */

import * as v from 'valibot';
import { CarportError } from '../../lib/errors.js';
import { parsePlatform } from '../../lib/oci/platform.js';
import { hasSecretKey } from '../../lib/signing/secret-form.js';
import { suggestion } from '../../lib/suggestion.js';
import { MOST_LAYERS } from '../limits.js';
import { TAG_TIMES, type TagRule } from './tags.js';

/** What an image is made of. What a variant or a region does not say is that of the image. */
export interface Recipe {
  /** An image of the plan, or one of a registry or a layout. */
  readonly base?: string | undefined;
  /** The words of `image build`, for all platforms or for each. */
  readonly contents?: Contents | undefined;
  /** As they are written: `linux/arm/v6`. */
  readonly platforms?: readonly string[] | undefined;
  readonly entrypoint?: readonly string[] | undefined;
  readonly cmd?: readonly string[] | undefined;
  readonly env?: Pairs | undefined;
  readonly labels?: Pairs | undefined;
  readonly user?: string | undefined;
  readonly workdir?: string | undefined;
  readonly compression?: 'gzip' | 'zstd' | 'none' | undefined;
  readonly format?: 'oci' | 'docker' | undefined;
  readonly maxLayers?: number | undefined;
}

export type Contents = readonly string[] | { readonly [platform: string]: readonly string[] };
export type Pairs = { readonly [name: string]: string };

/** An image that is built several times, of other things. */
export interface PlannedVariant extends Recipe {
  readonly name: string;
  /** What its tags end in. */
  readonly suffix: string;
}

export interface PlannedImage extends Recipe {
  readonly name: string;
  readonly repository: string;
  /** Whether it is pushed, or only there for others to be built on. */
  readonly isPushed: boolean;
  /** Names of registries; without any all of them. */
  readonly registries?: readonly string[] | undefined;
  readonly tags: readonly TagRule[];
  readonly variants: readonly PlannedVariant[];
  /** What is otherwise in the images of a registry, by the registry's name. */
  readonly regions: { readonly [registry: string]: Recipe };
}

/** All images of a project, in the order of its file. */
export interface ImagePlan {
  /** For messages. */
  readonly file: string;
  readonly images: readonly PlannedImage[];
  /** What stands before the name of a repository: `docker.io/owner`. None where each repository has its own. */
  readonly registries: Pairs;
}

/** Images and variants of a plan. */
const MOST_IMAGES = 1000;

const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/;
const SUFFIX = /^[A-Za-z0-9._-]{1,60}$/;

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const name = v.pipe(text, v.regex(NAME, 'is no name: small letters and digits, with one of `.`, `_`, `-` between'));
const texts = v.pipe(v.array(text), v.maxLength(1000));
const pairs = v.record(v.pipe(text, v.regex(/^[^=\0]+$/, 'is no name')), v.string());
const recipe = {
  base: v.optional(text),
  contents: v.optional(v.union([texts, v.record(text, texts)])),
  platforms: v.optional(v.pipe(texts, v.minLength(1, 'is empty'))),
  entrypoint: v.optional(texts),
  cmd: v.optional(texts),
  env: v.optional(pairs),
  labels: v.optional(pairs),
  user: v.optional(text),
  workdir: v.optional(text),
  compression: v.optional(v.picklist(['gzip', 'zstd', 'none'])),
  format: v.optional(v.picklist(['oci', 'docker'])),
  'max-layers': v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MOST_LAYERS))),
};
const tag = v.union([text, v.strictObject({ tag: text, when: v.picklist(TAG_TIMES) })]);
const image = v.strictObject({
  name,
  repository: v.optional(text),
  push: v.optional(v.boolean()),
  registries: v.optional(v.array(name)),
  tags: v.optional(v.pipe(v.array(tag), v.minLength(1, 'is empty'))),
  ...recipe,
  variant: v.optional(
    v.array(v.strictObject({ name, suffix: v.optional(v.pipe(text, v.regex(SUFFIX, 'cannot end a tag'))), ...recipe })),
  ),
  region: v.optional(v.record(name, v.strictObject(recipe))),
});
const images = v.pipe(v.array(image), v.maxLength(MOST_IMAGES));

/** What is taken where an image says nothing of its tags. */
const USUAL_TAGS = ['{version}', '{commit}', 'dev', 'latest'];

/** The plan that a file's tables are. Throws `E_USAGE` with the place of what is wrong. */
export function parseImagePlan(
  tables: { readonly image?: unknown; readonly registries?: unknown },
  file: string,
): ImagePlan {
  if (hasSecretKey(JSON.stringify(tables))) throw wrong(file, 'there is a secret key among the images', 'take it out');
  const registries = parse(v.record(name, text), tables.registries ?? {}, 'registries', file);
  const parsed = parse(images, tables.image ?? [], 'image', file);
  const plan = { file, registries, images: parsed.map((each) => plannedImage(each)) };
  for (const [at, each] of plan.images.entries()) {
    checkPlatforms(each, file);
    if (plan.images.some((other, index) => index < at && other.name === each.name))
      throw wrong(file, `two images are called \`${each.name}\``, 'give each a name of its own');
    for (const registry of [...(each.registries ?? []), ...Object.keys(each.regions)]) {
      if (!Object.hasOwn(registries, registry))
        throw wrong(
          file,
          `\`${registry}\`, which \`${each.name}\` names, is none of \`[registries]\``,
          suggestion(registry, Object.keys(registries)),
        );
    }
  }
  return plan;
}

function plannedImage(given: v.InferOutput<typeof image>): PlannedImage {
  const { name, repository = name, push = true, registries, tags = USUAL_TAGS, variant = [], region = {} } = given;
  return {
    ...{ name, repository, registries, isPushed: push, ...recipeOf(given) },
    tags: tags.map((each) => (typeof each === 'string' ? { tag: each } : each)),
    variants: variant.map((each) => ({
      ...{ name: each.name, suffix: each.suffix ?? `-${each.name}` },
      ...recipeOf(each),
    })),
    regions: Object.fromEntries(Object.entries(region).map(([registry, each]) => [registry, recipeOf(each)])),
  };
}

function recipeOf(given: v.InferOutput<v.ObjectSchema<typeof recipe, undefined>>): Recipe {
  const { base, contents, platforms, entrypoint, cmd, env, labels, user, workdir, compression, format } = given;
  const maxLayers = given['max-layers'];
  const all = {
    base,
    contents,
    platforms,
    entrypoint,
    cmd,
    env,
    labels,
    user,
    workdir,
    compression,
    format,
    maxLayers,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

function checkPlatforms({ name, variants, regions, ...own }: PlannedImage, file: string): void {
  for (const { platforms = [], contents = [] } of [own, ...variants, ...Object.values(regions)]) {
    const ofContents = Array.isArray(contents) ? [] : Object.keys(contents);
    for (const text of [...platforms, ...ofContents]) parsePlatform(text, `image \`${name}\` in ${file}`);
  }
}

function parse<S extends v.GenericSchema>(schema: S, value: unknown, top: string, file: string): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value, { abortEarly: true });
  if (parsed.success) return parsed.output;
  const [issue] = parsed.issues;
  const place = [top, v.getDotPath(issue)].filter(Boolean).join('.').slice(0, 100);
  const why = issue.message.replace(/[\x00-\x1f]/g, '?').slice(0, 200);
  throw wrong(file, `\`${place}\`: ${why}`, 'docs/image-plans.md has all that an image may say');
}

function wrong(file: string, message: string, hint: string): CarportError {
  return new CarportError('E_USAGE', `${message} (\`${file}\`)`, { hint });
}
