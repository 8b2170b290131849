import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  isWritableCompression,
  WRITABLE_COMPRESSIONS,
  type WritableCompression,
} from '../lib/compression/compressor.js';
import { CarportError } from '../lib/errors.js';
import { suggestion } from '../lib/suggestion.js';

/** What a cache's URL says of it: Nix's store URL settings, as far as they concern what carport does. */
export interface CacheUrl {
  /** The directory of a `file://` cache. */
  readonly root: string;
  readonly compression?: WritableCompression;
  readonly level?: number;
  /** Files of secret keys. */
  readonly secretKeyFiles: readonly string[];
  readonly writeListing?: boolean;
  readonly priority?: number;
  readonly wantMassQuery?: boolean;
}

type Settings = { -readonly [K in keyof Omit<CacheUrl, 'root' | 'secretKeyFiles'>]: CacheUrl[K] } & {
  secretKeyFiles: string[];
};

/** How each parameter is read (libstore's binary-cache-store settings). */
const PARAMETERS: Readonly<Record<string, (value: string, settings: Settings) => void>> = {
  compression: (value, settings) => {
    if (!isWritableCompression(value)) {
      throw usage(`compression \`${value}\` cannot be written`, `use ${Object.keys(WRITABLE_COMPRESSIONS).join(', ')}`);
    }
    settings.compression = value;
  },
  'compression-level': (value, settings) => {
    // Nix's own default, which stands for the compression's.
    if (value !== '-1') settings.level = parseNumber('compression-level', value);
  },
  'secret-key': (value, settings) => settings.secretKeyFiles.push(value),
  'secret-keys': (value, settings) => settings.secretKeyFiles.push(...value.split(',').filter((file) => file !== '')),
  'write-nar-listing': (value, settings) => {
    settings.writeListing = parseBoolean('write-nar-listing', value);
  },
  priority: (value, settings) => {
    settings.priority = parseNumber('priority', value);
  },
  'want-mass-query': (value, settings) => {
    settings.wantMassQuery = parseBoolean('want-mass-query', value);
  },
};

/** Parses Nix's store URLs: `file:///path?compression=zstd&…`, or a plain path. An unknown parameter is an error. */
export function parseCacheUrl(text: string): CacheUrl {
  const [base, query] = split(text);
  const settings: Settings = { secretKeyFiles: [] };
  for (const [name, value] of new URLSearchParams(query)) {
    const read = Object.hasOwn(PARAMETERS, name) ? PARAMETERS[name] : undefined;
    if (read === undefined) {
      throw usage(`\`${name}\` is not a parameter of a cache's URL`, suggestion(name, Object.keys(PARAMETERS)));
    }
    read(value, settings);
  }
  return { root: parseRoot(base), ...settings };
}

function split(text: string): readonly [base: string, query: string] {
  const mark = text.indexOf('?');
  return mark < 0 ? [text, ''] : [text.slice(0, mark), text.slice(mark + 1)];
}

function parseRoot(base: string): string {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(base)?.[1];
  if (base === '') throw usage("a cache's URL is empty", 'give one such as `file:///srv/cache`');
  if (scheme === undefined) return resolve(base);
  if (scheme !== 'file') {
    throw usage(`\`${scheme}://\` caches are not supported by this version`, 'use `file:///path`, or a plain path');
  }
  try {
    return fileURLToPath(base);
  } catch (cause) {
    throw new CarportError('E_USAGE', `\`${base}\` is not the URL of a directory`, {
      cause,
      hint: 'a `file://` URL has three slashes before an absolute path: `file:///srv/cache`',
    });
  }
}

function parseNumber(name: string, value: string): number {
  if (!/^-?[0-9]{1,9}$/.test(value)) throw usage(`\`${name}=${value}\` is not a number`);
  return Number(value);
}

function parseBoolean(name: string, value: string): boolean {
  if (['true', '1', 'yes'].includes(value)) return true;
  if (['false', '0', 'no'].includes(value)) return false;
  throw usage(`\`${name}=${value}\` is neither true nor false`);
}

function usage(message: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', message, hint === undefined ? {} : { hint });
}
