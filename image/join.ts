/** Joins images of several platforms under one name. */

import { CarportError } from '../lib/errors.js';
import { type Descriptor, describe, type RawManifest, renderDocument } from '../lib/oci/documents.js';
import { DOCKER, OCI } from '../lib/oci/media-types.js';
import { isSamePlatform, renderPlatform } from '../lib/oci/platform.js';
import type { ImageOfPlatform } from './base.js';

/** An index of images, in the order of their platforms, so that it is the same however they are named. Docker's, of docker's images. */
export function joinImages(images: readonly ImageOfPlatform[]): RawManifest {
  for (const [at, { platform }] of images.entries()) {
    if (!images.slice(0, at).some((other) => isSamePlatform(other.platform, platform))) continue;
    throw new CarportError('E_USAGE', `two of the images are for \`${renderPlatform(platform)}\``, {
      hint: 'name one for each platform',
    });
  }
  const sorted = [...images].sort((a, b) => (renderPlatform(a.platform) < renderPlatform(b.platform) ? -1 : 1));
  const isDocker = images.every(({ descriptor }) => descriptor.mediaType === DOCKER.manifest);
  const manifests = sorted.map(({ descriptor: { mediaType, digest, size }, platform }): Descriptor => {
    const { os, architecture, variant } = platform;
    return { mediaType, digest, size, platform: { architecture, os, ...(variant !== undefined && { variant }) } };
  });
  const mediaType = isDocker ? DOCKER.index : OCI.index;
  return describe(mediaType, renderDocument({ schemaVersion: 2, mediaType, manifests }));
}
