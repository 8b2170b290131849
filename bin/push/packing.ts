/** How NARs are packed: what the options, the cache's URL, the environment and files say of it. */

import type { CacheUrl } from '../../cache/cache-url.js';
import type { Packing } from '../../cache/push/upload.js';
import {
  COMPRESSION_LEVELS,
  isWritableCompression,
  type WritableCompression,
} from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import { type Setting, type Settings, singleValue } from '../settings/settings.js';

/** Compression, level and listing of a push. Throws where they do not fit together. */
export function packingOf(settings: Settings, url: CacheUrl, { listing }: { readonly listing: boolean }): Packing {
  const compression = compressionOf(settings.compression, url.compression);
  const level = levelOf(compression, settings.level, url.level);
  return { compression, level, listing: listing && url.writeListing !== false };
}

function compressionOf(setting: Setting, fromUrl: WritableCompression | undefined): WritableCompression {
  const name = chosen(setting, fromUrl) ?? 'zstd';
  if (isWritableCompression(name)) return name;
  throw new CarportError('E_USAGE', `compression \`${name}\` (${setting.origin}) cannot be written`, {
    hint: `use ${Object.keys(COMPRESSION_LEVELS).join(', ')}`,
  });
}

function levelOf(compression: WritableCompression, setting: Setting, fromUrl: number | undefined): number {
  const text = chosen(setting, fromUrl?.toString());
  const levels = COMPRESSION_LEVELS[compression];
  if (text === undefined) return levels.default;
  const level = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (level >= levels.min && level <= levels.max) return level;
  throw new CarportError('E_USAGE', `level ${text} is not one of ${compression}'s`, {
    hint: levels.max === 0 ? 'leave `--level` out' : `use ${levels.min} to ${levels.max}`,
  });
}

/** An option stands before the URL, and the URL, which names this cache, before the environment and files. */
function chosen(setting: Setting, fromUrl: string | undefined): string | undefined {
  return setting.origin.startsWith('--') ? singleValue(setting) : (fromUrl ?? singleValue(setting));
}
