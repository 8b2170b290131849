/** The commands `image ls` and `image inspect`. */

import { readImage } from '../../image/base.js';
import { MOST_MANIFESTS } from '../../image/copy.js';
import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { type Descriptor, parseIndex, parseManifest, type RawManifest } from '../../lib/oci/documents.js';
import { isIndexType } from '../../lib/oci/media-types.js';
import { parsePlatform, renderPlatform } from '../../lib/oci/platform.js';
import type { ImageStore } from '../../lib/oci/store.js';
import { type Context, writeJson, writeLines } from '../cli/context.js';
import type { InspectOptions, ListOptions } from './command.js';
import { openImage } from './places.js';
import { closing, working } from './push.js';

/** Manifests that are asked for at once. */
const AT_ONCE = 8;

/** Prints the tags of a repository or a layout. */
export async function list(place: string, options: ListOptions, context: Context): Promise<void> {
  const tags = await working({ ...options, quiet: true, json: false }, context, async (work) =>
    closing(await openImage(place, { context, options, ...work }), ({ store }) => store.tags()),
  );
  if (options.json) return writeJson(context.stdout, { tags });
  await writeLines(context.stdout, tags);
}

/** Prints what an image is: its digest, its platforms, its layers, and how it is run. */
export async function inspect(text: string, options: InspectOptions, context: Context): Promise<void> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform, '--platform');
  const told = await working({ ...options, quiet: true, json: false }, context, async (work) =>
    closing(await openImage(text, { context, options, ...work }), async ({ store, reference }) => {
      const found = await store.manifest(reference);
      if (!found)
        throw new CarportError('E_NOT_FOUND', `there is no image \`${text}\``, { hint: 'check its name and its tag' });
      const { mediaType, digest } = found.descriptor;
      const entries = isIndexType(mediaType) ? parseIndex(text, found.bytes).manifests : undefined;
      if (entries && entries.length > MOST_MANIFESTS)
        throw new CarportError('E_UNSUPPORTED', `\`${text}\` has ${entries.length} images`, {
          hint: `at most ${MOST_MANIFESTS} are read`,
        });
      const isOne = entries === undefined || platform !== undefined;
      const images = isOne
        ? [await toldOf(store, found, platform)]
        : await mapAtMost(AT_ONCE, entries, (entry) => entryOf(store, entry), work.signal);
      return { digest, mediaType, images };
    }),
  );
  if (options.json) return writeJson(context.stdout, { image: told });
  await writeLines(context.stdout, [`${told.digest} ${told.mediaType}`, ...told.images.flatMap(linesOf)]);
}

interface Told {
  readonly digest: string;
  readonly platform: string;
  readonly size: number;
  readonly layers: readonly Pick<Descriptor, 'digest' | 'size' | 'mediaType'>[];
  readonly config?: Readonly<Record<string, unknown>>;
}

async function toldOf(
  store: ImageStore,
  { descriptor }: RawManifest,
  platform: Parameters<typeof readImage>[2],
): Promise<Told> {
  const image = await readImage(store, descriptor.digest, platform);
  const { layers } = image.manifest;
  return {
    ...{ digest: image.descriptor.digest, platform: renderPlatform(image.platform), ...sizesOf(layers) },
    config: image.config.config ?? {},
  };
}

async function entryOf(store: ImageStore, entry: Descriptor): Promise<Told> {
  const found = await store.manifest(entry.digest);
  const layers =
    found && !isIndexType(found.descriptor.mediaType) ? parseManifest(entry.digest, found.bytes).layers : [];
  const platform = entry.platform ? renderPlatform(entry.platform) : (entry.artifactType ?? 'unknown');
  return { digest: entry.digest, platform, ...sizesOf(layers) };
}

function sizesOf(layers: readonly Descriptor[]): Pick<Told, 'size' | 'layers'> {
  return {
    size: layers.reduce((sum, { size }) => sum + size, 0),
    layers: layers.map(({ digest, size, mediaType }) => ({ digest, size, mediaType })),
  };
}

function linesOf({ platform, digest, layers, config = {} }: Told): readonly string[] {
  const run = Object.entries(config).map(([name, value]) => `    ${name} ${JSON.stringify(value)}`);
  return [`  ${platform} ${digest}`, ...run, ...layers.map((layer) => `    ${layer.digest} ${layer.size}`)];
}
