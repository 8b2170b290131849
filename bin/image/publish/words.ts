/** What a plan says of an image, as the arguments and options of `image build`. */

import { fillIn } from '../../../image/publication/tags.js';
import { contentsFor, type Unit } from '../../../image/publication/units.js';
import { parsePlatform, platformOfNode } from '../../../lib/oci/platform.js';
import type { ContentOptions } from '../command.js';
import type { PublishOptions } from './command.js';
import type { Project } from './plan.js';

/** Layers that the contents of an image become where nothing is said. */
const MOST_BY_ITSELF = 100;

/** What stands for a platform in words of a plan: `{os}`, `{arch}`, `{platform}`. Without one it is that of this machine. */
export function placesOf(text: string | undefined): Readonly<Record<string, string>> {
  const { os, architecture, variant = '' } = text ? parsePlatform(text, 'platform') : platformOfNode(process.arch);
  return { os, arch: architecture, variant, platform: [os, architecture, variant].filter(Boolean).join('-') };
}

/** The words of `image build` that a unit is made of. */
export function wordsOf(unit: Unit, platform: string | undefined, { build }: Project): readonly string[] {
  const words = platform === undefined ? (unit.recipe.contents ?? []) : contentsFor(unit, platform);
  return (words as readonly string[]).map((word) => fillIn(word, build, placesOf(platform)));
}

/** What `image build` would be given. */
export function optionsOf(
  { recipe }: Unit,
  platform: string | undefined,
  { options, project }: { readonly options: PublishOptions; readonly project: Project },
): ContentOptions {
  const { entrypoint, cmd, env = {}, labels = {}, user, workdir, compression, format, maxLayers } = recipe;
  const pairs = (of: Readonly<Record<string, string>>) =>
    Object.entries(of).map(([name, value]) => `${name}=${fillIn(value, project.build, placesOf(platform))}`);
  return {
    ...options,
    ...(platform !== undefined && { platform }),
    // One text is a JSON list, whatever its words look like.
    ...(entrypoint && { entrypoint: [JSON.stringify(entrypoint)] }),
    ...(cmd && { cmd: [JSON.stringify(cmd)] }),
    ...{ env: pairs(env), label: pairs(labels) },
    ...(user !== undefined && { user }),
    ...(workdir !== undefined && { workdir }),
    ...{ compression: compression ?? 'gzip', format: format ?? 'oci', maxLayers: maxLayers ?? MOST_BY_ITSELF },
  };
}
