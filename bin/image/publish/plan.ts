/** The plan of a project's images, and the build that they are of. */

import { dirname } from 'node:path';
import { type ImagePlan, parseImagePlan } from '../../../image/publication/document.js';
import { asksForBuild, type PublishedBuild } from '../../../image/publication/tags.js';
import { type Destination, type Publication, planPublication } from '../../../image/publication/units.js';
import { CarportError } from '../../../lib/errors.js';
import { suggestion } from '../../../lib/suggestion.js';
import { noVersion, readBuild } from '../../../release/ci/detect.js';
import { type Context, workingDirectory } from '../../cli/context.js';
import { warnPeople } from '../../cli/warnings.js';
import { channelRuleOf } from '../../release/settings.js';
import { readProjectFile } from '../../settings/config-file.js';
import type { PublishOptions } from './command.js';

/** The images of a project. */
interface ProjectImages {
  /** Where its `carport.toml` is. */
  readonly directory: string;
  readonly plan: ImagePlan;
}

/** What is to be published. */
export interface Project extends ProjectImages {
  readonly publication: Publication;
  readonly build: PublishedBuild;
}

/** The images that the project of the working directory names; throws `E_USAGE` where there are none. */
async function readImagePlan(context: Context): Promise<ProjectImages> {
  const found = await readProjectFile(workingDirectory(context));
  if (found?.tables.image !== undefined)
    return { directory: dirname(found.file), plan: parseImagePlan(found.tables, found.file) };
  const where = found ? `\`${found.file}\`` : 'a `carport.toml` of this directory or above it';
  throw new CarportError('E_USAGE', `no image is named in ${where}`, {
    hint: 'write `[[image]]`, and below it `name = "app"` and `contents = ["./app"]`, into the `carport.toml` of the project',
  });
}

/** The repositories that the project's images go to, and what tags of variants end in. */
export async function readRepositories(
  context: Context,
): Promise<{ readonly repositories: readonly string[]; readonly suffixes: readonly string[] }> {
  const { plan } = await readImagePlan(context);
  const { destinations } = planPublication(plan, { names: [], registries: [] });
  const suffixes = plan.images.flatMap(({ variants }) => variants.map(({ suffix }) => suffix));
  return {
    repositories: [...new Set(destinations.map(({ repository }) => repository))],
    suffixes: [...new Set(suffixes)],
  };
}

/** What is to be published of it, by options. */
export async function readProjectImages(
  names: readonly string[],
  options: PublishOptions,
  context: Context,
): Promise<Project> {
  const read = await readImagePlan(context);
  const plan = withRegistries(read.plan, options.registry ?? []);
  const publication = planPublication(plan, { names, registries: options.region ?? [] });
  return { ...read, plan, publication, build: buildOf(publication, options, context) };
}

function withRegistries(plan: ImagePlan, given: readonly string[]): ImagePlan {
  const others = given.map((text) => {
    const [, name, place] = /^([^=]+)=(.+)$/.exec(text) ?? [];
    if (name !== undefined && place !== undefined && Object.hasOwn(plan.registries, name))
      return [name, place] as const;
    throw new CarportError('E_USAGE', `\`${text}\` (--registry) names none of \`[registries]\` of \`${plan.file}\``, {
      hint: `write it as \`NAME=PLACE\`; ${suggestion(name ?? text, Object.keys(plan.registries))}`,
    });
  });
  return { ...plan, registries: { ...plan.registries, ...Object.fromEntries(others) } };
}

/** What CI says of the build; throws `E_NOT_FOUND` where tags are asked for that need it, and it says nothing. */
function buildOf({ destinations }: Publication, options: PublishOptions, context: Context): PublishedBuild {
  const build = readBuild(context.env, channelRuleOf(options.settings), options);
  for (const message of build.warnings) warnPeople(context)({ type: 'warning', message });
  const isAsked = destinations.some(({ image }) => asksForBuild(image.tags));
  if (build.version === undefined && isAsked) throw noVersion(build);
  return build;
}

/** How a destination is called in messages: by its image, and where it goes. */
export function titleOf({ unit, repository }: Pick<Destination, 'unit' | 'repository'>): string {
  return `\`${unit.id}\` (${repository})`;
}
