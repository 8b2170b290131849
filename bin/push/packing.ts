/** How NARs are packed: what the options, the cache's URL, the environment and files say of it. */

import type { CacheUrl } from '../../cache/cache-url.js';
import type { Packing } from '../../cache/push/upload.js';
import { COMPRESSION_LEVELS, type WritableCompression } from '../../lib/compression/compressor.js';
import { CarportError } from '../../lib/errors.js';
import type { Setting, Settings } from '../settings/setting.js';

/** Compression, level and listing of a push. Throws where they do not fit together. */
export function packingOf(
  settings: Pick<Settings, 'compression' | 'level'>,
  url: CacheUrl,
  { listing }: { readonly listing: boolean },
): Packing {
  const compression = chosen(settings.compression, url.compression) ?? 'zstd';
  const level = levelOf(compression, chosen(settings.level, url.level));
  const { writeListing } = url;
  return { compression, level, listing: listing && writeListing !== false, smallListings: writeListing };
}

function levelOf(compression: WritableCompression, given: number | undefined): number {
  const levels = COMPRESSION_LEVELS[compression];
  if (given === undefined) return levels.default;
  if (given >= levels.min && given <= levels.max) return given;
  throw new CarportError('E_USAGE', `level ${given} is not one of ${compression}'s`, {
    hint: levels.max === 0 ? 'leave `--level` out' : `use ${levels.min} to ${levels.max}`,
  });
}

/** An option stands before the URL, and the URL, which names this cache, before the environment and files. */
function chosen<T>(setting: Setting<T | undefined>, fromUrl: T | undefined): T | undefined {
  return setting.origin.kind === 'option' ? setting.value : (fromUrl ?? setting.value);
}
