/** Builds an image: layers by threads, then config and manifest. The same input gives the same digests on any machine. */

import { allDone } from '../lib/concurrency.js';
import { CarportError } from '../lib/errors.js';
import { removeTree } from '../lib/filesystem/temporary.js';
import { type Descriptor, describe, type RawManifest, renderDocument } from '../lib/oci/documents.js';
import type { Layout } from '../lib/oci/layout.js';
import { DOCKER, type ImageFormat, layerType, layerTypeIn, OCI } from '../lib/oci/media-types.js';
import type { Platform } from '../lib/oci/platform.js';
import type { ActivityEvent, Work } from '../lib/work.js';
import type { LayerCompression, LayerTree } from '../lib/workers/layers/layer.js';
import type { WorkerPool } from '../lib/workers/pool.js';
import type { ImageOfPlatform } from './base.js';
import { type MadeLayer, type RunSettings, renderConfig } from './config.js';

/** A layer that is to be made. */
export interface LayerPlan {
  readonly trees: readonly LayerTree[];
  /** What it is, for people: a part of the image. */
  readonly comment: string;
}

export interface BuildRequest {
  readonly layers: readonly LayerPlan[];
  readonly platform: Platform;
  readonly run: RunSettings;
  readonly created: string;
  readonly format: ImageFormat;
  readonly compression: LayerCompression;
  readonly base?: ImageOfPlatform | undefined;
}

/** An image whose own blobs are in the layout. Those of its base are not. */
export interface BuiltImage {
  readonly manifest: RawManifest;
  readonly layers: readonly MadeLayer[];
}

/** The levels that are taken: they are part of the bytes. */
const LEVELS: Readonly<Record<LayerCompression, number>> = { gzip: 6, zstd: 3, none: 0 };

interface BuildTools extends Work<ActivityEvent> {
  readonly pool: WorkerPool;
}

/** Makes layers, config and manifest of an image in a layout. Its manifest is in no index yet. */
export async function buildImage(layout: Layout, request: BuildRequest, tools: BuildTools): Promise<BuiltImage> {
  const { base, format, compression } = request;
  tools.emit({ type: 'started', verb: 'pack', unit: 'layers', items: request.layers.length });
  const layers = await allDone(request.layers.map((plan) => makeLayer(layout, plan, request, tools)));
  const types = format === 'docker' ? DOCKER : OCI;
  const config = describe(types.config, renderConfig({ ...request, base: base?.config, layers }));
  await layout.putBlob(config.descriptor, config.bytes);
  const own = layers.map(
    ({ digest, size }): Descriptor => ({ mediaType: layerType(format, compression), digest, size }),
  );
  const manifest = renderDocument({
    ...{ schemaVersion: 2, mediaType: types.manifest },
    config: config.descriptor,
    layers: [...(base?.manifest.layers.map((layer) => inDocuments(format, layer)) ?? []), ...own],
  });
  return { manifest: withPlatform(describe(types.manifest, manifest), request.platform), layers };
}

/** A layer of a base, as the documents of the image name it: those of one format are of one kind. */
function inDocuments(format: ImageFormat, { mediaType: given, digest, size }: Descriptor): Descriptor {
  const mediaType = layerTypeIn(format, given);
  if (mediaType !== undefined) return { mediaType, digest, size };
  throw new CarportError('E_USAGE', '`--format docker` has no layers with zstd, and the base has some', {
    hint: 'leave `--format` out, or take another base',
  });
}

function withPlatform({ descriptor, bytes }: RawManifest, platform: Platform): RawManifest {
  return { descriptor: { ...descriptor, platform }, bytes };
}

async function makeLayer(
  layout: Layout,
  { trees, comment }: LayerPlan,
  { compression, base }: BuildRequest,
  { pool, emit, signal }: BuildTools,
): Promise<MadeLayer> {
  const file = layout.temporary();
  try {
    signal.throwIfAborted();
    // What is above a tree is the base's, which may have a link there.
    const parents = base === undefined;
    const job = { type: 'layer', trees, parents, compression, level: LEVELS[compression], file } as const;
    const layer = await pool.run(job, { onProgress: (bytes) => emit({ type: 'progress', bytes }) });
    await layout.takeBlob(layer, file);
    emit({ type: 'item-finished', name: comment, size: layer.size });
    return { ...layer, comment };
  } catch (error) {
    await removeTree(file);
    throw error;
  }
}
