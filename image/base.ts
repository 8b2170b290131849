/** The image that another one is built on. */

import { CarportError } from '../lib/errors.js';
import {
  type Descriptor,
  type ImageConfig,
  type Manifest,
  parseConfig,
  parseIndex,
  parseManifest,
} from '../lib/oci/documents.js';
import { isIndexType } from '../lib/oci/media-types.js';
import { isSamePlatform, type Platform, parsePlatform, renderPlatform } from '../lib/oci/platform.js';
import type { ImageStore } from '../lib/oci/store.js';
import { MOST_LEVELS } from './copy.js';

/** An image of one platform. */
export interface ImageOfPlatform {
  readonly descriptor: Descriptor;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  readonly platform: Platform;
}

/** Bytes of a config that are read. */
export const CONFIG_LIMIT = 4 * 1024 * 1024;

/** Reads an image; of several platforms that one. Throws `E_NOT_FOUND` where there is none, or none for the platform. */
export async function readImage(
  store: ImageStore,
  reference: string | undefined,
  platform: Platform | undefined,
  level = 0,
): Promise<ImageOfPlatform> {
  const name = reference === undefined ? store.description : `\`${reference}\` of ${store.description}`;
  const found = await store.manifest(reference);
  if (found === undefined)
    throw new CarportError('E_NOT_FOUND', `there is no image ${name}`, { hint: 'check its name and its tag' });
  if (isIndexType(found.descriptor.mediaType)) {
    const { manifests } = parseIndex(name, found.bytes);
    const entry = entryFor(manifests, platform, name);
    if (level === MOST_LEVELS) {
      throw new CarportError('E_UNSUPPORTED', `${name} is an index in ${MOST_LEVELS} others`, {
        hint: 'so many are nobody’s image',
      });
    }
    return readImage(store, entry.digest, platform, level + 1);
  }
  const manifest = parseManifest(name, found.bytes);
  const config = parseConfig(`the config of ${name}`, await readSmall(store, manifest.config, CONFIG_LIMIT));
  const { os, architecture, variant } = config;
  const own: Platform = { os, architecture, ...(variant !== undefined && { variant }) };
  if (platform !== undefined && !isSamePlatform(normal(own), platform)) {
    throw new CarportError(
      'E_USAGE',
      `${name} is for \`${renderPlatform(own)}\`, and not for \`${renderPlatform(platform)}\``,
      {
        hint: 'take a base of the same platform',
      },
    );
  }
  return { descriptor: found.descriptor, manifest, config, platform: own };
}

/** Reads a blob that is small. Throws `E_UNSUPPORTED` where it says that it is not. */
export async function readSmall(store: ImageStore, descriptor: Descriptor, limit: number): Promise<Uint8Array> {
  if (descriptor.size > limit) {
    throw new CarportError(
      'E_UNSUPPORTED',
      `\`${descriptor.digest}\` of ${store.description} has ${descriptor.size} bytes`,
      {
        hint: `at most ${limit} are read of a document`,
      },
    );
  }
  const pieces: Uint8Array[] = [];
  for await (const bytes of (await store.blob(descriptor)).open()) pieces.push(bytes);
  return Buffer.concat(pieces);
}

/** A platform in carport's words, where it has some. */
function normal(platform: Platform): Platform {
  try {
    return parsePlatform(renderPlatform(platform), 'image');
  } catch {
    return platform;
  }
}

function entryFor(manifests: readonly Descriptor[], wanted: Platform | undefined, name: string): Descriptor {
  const images = manifests.filter(({ platform }) => platform !== undefined && platform.os !== 'unknown');
  const matching = images.filter(({ platform }) => wanted === undefined || isSamePlatform(normal(platform!), wanted));
  if (matching.length === 1 || (wanted !== undefined && matching.length > 0)) return matching[0]!;
  const platforms = images.map(({ platform }) => renderPlatform(platform!)).join(', ');
  if (matching.length > 1) {
    throw new CarportError('E_USAGE', `${name} has several platforms`, {
      hint: `say which with \`--platform\`: ${platforms}`,
    });
  }
  throw new CarportError(
    'E_NOT_FOUND',
    `${name} has no image for \`${wanted ? renderPlatform(wanted) : 'any platform'}\``,
    {
      hint: platforms === '' ? 'it has no images at all' : `it has ${platforms}`,
    },
  );
}
