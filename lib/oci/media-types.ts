/** Media types of images: OCI's, and docker's, which mean the same. Source: image-spec 1.1, distribution's image specs. */

import type { LayerCompression } from '../workers/layers/layer.js';

export const OCI = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  empty: 'application/vnd.oci.empty.v1+json',
} as const;

export const DOCKER = {
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar',
} as const;

/** What a registry is asked for where any image will do. */
export const MANIFEST_TYPES: readonly string[] = [OCI.index, OCI.manifest, DOCKER.index, DOCKER.manifest];

export function isIndexType(mediaType: string): boolean {
  return mediaType === OCI.index || mediaType === DOCKER.index;
}

export function isManifestType(mediaType: string): boolean {
  return MANIFEST_TYPES.includes(mediaType);
}

/** How images are written down. Docker's own documents have no zstd. */
export const IMAGE_FORMATS = ['oci', 'docker'] as const;
const COMPRESSIONS: readonly LayerCompression[] = ['none', 'gzip', 'zstd'];
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

/**
 * The media type that a layer of either format has in one of these documents; `undefined` where that has none for it, as docker's
 * for zstd. Types of neither format stay as they are.
 */
export function layerTypeIn(format: ImageFormat, mediaType: string): string | undefined {
  const compression = COMPRESSIONS.find((name) => IMAGE_FORMATS.some((each) => layerType(each, name) === mediaType));
  if (compression === undefined) return mediaType;
  return format === 'docker' && compression === 'zstd' ? undefined : layerType(format, compression);
}

/** The media type of a layer. */
export function layerType(format: ImageFormat, compression: LayerCompression): string {
  if (format === 'docker') return compression === 'gzip' ? `${DOCKER.layer}.gzip` : DOCKER.layer;
  return compression === 'none' ? OCI.layer : `${OCI.layer}+${compression}`;
}
