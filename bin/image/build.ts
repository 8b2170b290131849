/** The command `image build`. */

import { type ImageOfPlatform, readImage } from '../../image/base.js';
import { type BuiltImage, buildImage } from '../../image/build.js';
import { type BlobSource, copyBlobs } from '../../image/copy.js';
import { MOST_LAYERS } from '../../image/limits.js';
import { planLayers } from '../../image/plan.js';
import { CarportError, formatError } from '../../lib/errors.js';
import type { Descriptor } from '../../lib/oci/documents.js';
import type { Layout } from '../../lib/oci/layout.js';
import type { ImageFormat } from '../../lib/oci/media-types.js';
import { type Platform, parsePlatform, platformOfNode, renderPlatform } from '../../lib/oci/platform.js';
import { parseImageName } from '../../lib/oci/reference.js';
import { withHeldPaths } from '../../lib/store/hold-paths.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { LayerCompression } from '../../lib/workers/layers/layer.js';
import type { WorkerPool } from '../../lib/workers/pool.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { withPool } from '../cli/with-pool.js';
import { withActivity } from '../reporters/activity.js';
import { integer } from '../settings/parsers.js';
import type { BuildOptions, ContentOptions } from './command.js';
import { findContents } from './contents.js';
import { withLayoutAt } from './layouts.js';
import { type ImagePlace, openImage } from './places.js';
import { runSettingsOf } from './run-settings.js';

export async function build(targets: readonly string[], options: BuildOptions, context: Context): Promise<void> {
  const { tag = 'latest' } = parseImageName(options.name);
  const { manifest, layers } = await withLayoutAt(options.out, context, (layout) =>
    withActivity(context, options, async ({ emit }) => {
      const work = { emit, signal: new AbortController().signal };
      const base =
        options.base === undefined ? undefined : await openImage(options.base, { context, options, ...work });
      try {
        const built = await buildInto(layout, { targets, base }, options, context, work);
        if (base) await copyBlobs(built.baseLayers, (): BlobSource => ({ store: base.store }), layout, work);
        await layout.putManifest(built.manifest, tag);
        return built;
      } finally {
        await base?.close();
      }
    }),
  );
  const { digest, platform } = manifest.descriptor;
  const size = layers.reduce((sum, layer) => sum + layer.size, 0);
  if (options.json)
    return writeJson(context.stdout, {
      image: { name: options.name, tag, platform: renderPlatform(platform!), ...imageJson({ manifest, layers }) },
    });
  note(context, options, `built ${renderPlatform(platform!)}: ${count(layers.length, 'layer')}, ${formatBytes(size)}`);
  await writeLines(context.stdout, [digest]);
}

/** What JSON says of an image that was built. */
export function imageJson({ manifest: { descriptor }, layers }: BuiltImage): object {
  const { digest, mediaType } = descriptor;
  return {
    digest,
    mediaType,
    layers: layers.map(({ digest, size, diffId, comment }) => ({ digest, size, diffId, comment })),
  };
}

/** What an image is built of. */
interface Ingredients {
  readonly targets: readonly string[];
  readonly base: Pick<ImagePlace, 'store' | 'reference'> | undefined;
  /** The directory that files are taken from, where they may not be from anywhere. */
  readonly within?: string;
  /** Threads, where there are some; they are not ended. */
  readonly pool?: WorkerPool;
}

/** Builds what arguments and options say, in a layout whose index does not name it yet. */
export async function buildInto(
  layout: Layout,
  { targets, base: place, within, pool }: Ingredients,
  options: ContentOptions,
  context: Context,
  work: Work<ActivityEvent>,
): Promise<BuiltImage & { readonly baseLayers: readonly Descriptor[] }> {
  const given = options.platform === undefined ? undefined : parsePlatform(options.platform, '--platform');
  const format = options.format as ImageFormat;
  const compression = options.compression as LayerCompression;
  if (format === 'docker' && compression === 'zstd') {
    throw new CarportError('E_USAGE', '`--format docker` has no layers with zstd', {
      hint: 'leave `--format` out, or take gzip',
    });
  }
  const contents = await findContents(targets, options, context, within);
  const run = await runSettingsOf(options, contents);
  const base = place && (await readBase(place, given));
  const platform: Platform = given ?? base?.platform ?? platformOfNode(process.arch);
  const baseLayers = base?.manifest.layers ?? [];
  const layers = planLayers(contents, layersLeft(options.maxLayers, baseLayers.length));
  const request = { layers, run, platform, format, compression, created: createdAt(context), base };
  const make = (threads: WorkerPool) =>
    withHeldPaths(contents, contents.graph.values(), () => buildImage(layout, request, { ...work, pool: threads }));
  const built = await (pool ? make(pool) : withPool(options.settings.jobs.value, make));
  return { ...built, baseLayers };
}

/** The base; its layers are taken as they are, but what is made of them has to agree with itself. */
async function readBase(
  { store, reference }: Omit<ImagePlace, 'close'>,
  platform: Platform | undefined,
): Promise<ImageOfPlatform> {
  const base = await readImage(store, reference, platform);
  const { manifest, config } = base;
  const [layers, named] = [manifest.layers.length, config.rootfs.diff_ids.length];
  if (layers === named) return base;
  throw formatError(
    `the base \`${reference ?? ''}\` of ${store.description}`,
    `has ${layers} layers, and its config names ${named}`,
    {
      hint: 'take another base: no runtime takes an image of this one',
    },
  );
}

/** As many layers as are asked for, and as lie above those of the base. */
function layersLeft(asked: number, ofBase: number): number {
  return Math.min(asked, Math.max(0, MOST_LAYERS - ofBase));
}

/** The time of the image: 1970, where nobody has said another, so that it is the same each time. */
function createdAt({ env }: Context): string {
  const epoch = env.SOURCE_DATE_EPOCH || '0';
  const seconds = integer(0, 99_999_999_999, { of: 'seconds' })(epoch, 'SOURCE_DATE_EPOCH');
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
