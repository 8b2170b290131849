/** Nix's store URLs and their parameters. */

import {
  isWritableCompression,
  WRITABLE_COMPRESSIONS,
  type WritableCompression,
} from '../lib/compression/compressor.js';
import type { CarportError } from '../lib/errors.js';
import { looksLikeKey } from '../lib/signing/likely-key.js';
import { misplacedKey } from '../lib/signing/misplaced-key.js';
import { suggestion } from '../lib/suggestion.js';
import {
  type CacheLocation,
  checkWriting,
  parseLocation,
  type S3Parameters,
  schemeOf,
  usage,
} from './cache-location.js';

/** What a cache's URL says of it: Nix's store URL settings, as far as they concern what carport does. */
export interface CacheUrl {
  readonly location: CacheLocation;
  readonly compression?: WritableCompression;
  readonly level?: number;
  /** Files of secret keys. */
  readonly secretKeyFiles: readonly string[];
  readonly writeListing?: boolean;
  readonly priority?: number;
  readonly wantMassQuery?: boolean;
}

interface Settings {
  common: { -readonly [K in keyof Omit<CacheUrl, 'location' | 'secretKeyFiles'>]: CacheUrl[K] };
  secretKeyFiles: string[];
  s3: { -readonly [K in keyof S3Parameters]: S3Parameters[K] };
  scheme: string;
}

type Parameters = Readonly<Record<string, (value: string, settings: Settings) => void>>;

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** How each parameter is read (libstore's binary-cache-store settings). */
const COMMON_PARAMETERS: Parameters = {
  compression: (value, { common }) => {
    if (!isWritableCompression(value)) {
      throw usage(`compression \`${value}\` cannot be written`, `use ${Object.keys(WRITABLE_COMPRESSIONS).join(', ')}`);
    }
    common.compression = value;
  },
  'compression-level': (value, { common }) => {
    // Nix's own default, which stands for the compression's.
    if (value !== '-1') common.level = parseNumber('compression-level', value);
  },
  // What carport does anyway.
  'parallel-compression': (value) => void parseBoolean('parallel-compression', value),
  'secret-key': (value, { secretKeyFiles }) => void secretKeyFiles.push(keyFile('secret-key', value)),
  'secret-keys': (value, { secretKeyFiles }) =>
    void secretKeyFiles.push(
      ...value
        .split(',')
        .filter((file) => file !== '')
        .map((file) => keyFile('secret-keys', file)),
    ),
  'write-nar-listing': (value, { common }) => {
    common.writeListing = parseBoolean('write-nar-listing', value);
  },
  priority: (value, { common }) => {
    common.priority = parseNumber('priority', value);
  },
  'want-mass-query': (value, { common }) => {
    common.wantMassQuery = parseBoolean('want-mass-query', value);
  },
  ...withoutEffect(
    ['trusted', 'index-debug-info', 'retry-delay-rate-limited'],
    ['path-info-cache-size', 'retry-attempts', 'retry-delay', 'retry-max-delay'],
    ['store', 'local-nar-cache', 'system-features', 'narinfo-compression', 'ls-compression', 'log-compression'],
  ),
};

/**
 * Nix's settings that mean nothing to carport: it believes signatures only, has its own retries and no cache of narinfos,
 * writes no index of debug information and small files as they are.
 */
function withoutEffect(booleans: readonly string[], numbers: readonly string[], texts: readonly string[]): Parameters {
  const entries = (names: readonly string[], check: (name: string, value: string) => unknown) =>
    names.map((name) => [name, (value: string) => void check(name, value)] as const);
  return Object.fromEntries([
    ...entries(booleans, parseBoolean),
    ...entries(numbers, parseNumber),
    ...entries(texts, () => undefined),
  ]);
}

/** And those of libstore's s3-binary-cache-store settings. */
const S3_PARAMETERS: Parameters = {
  endpoint: (value, { s3 }) => {
    s3.endpoint = notEmpty('endpoint', value);
  },
  scheme: (value, settings) => {
    settings.scheme = oneOf('scheme', value, ['http', 'https']);
  },
  region: (value, { s3 }) => {
    s3.region = notEmpty('region', value);
  },
  profile: (value, { s3 }) => {
    s3.profile = notEmpty('profile', value);
  },
  'addressing-style': (value, { s3 }) => {
    s3.style = oneOf('addressing-style', value, ['auto', 'path', 'virtual']);
  },
  'storage-class': (value, { s3 }) => {
    s3.storageClass = notEmpty('storage-class', value);
  },
  'multipart-upload': (value, { s3 }) => {
    if (!parseBoolean('multipart-upload', value)) s3.multipartThreshold = Number.POSITIVE_INFINITY;
  },
  'multipart-threshold': (value, { s3 }) => {
    s3.multipartThreshold = parseSize('multipart-threshold', value, MIB, 5 * GIB);
  },
  'multipart-chunk-size': (value, { s3 }) => {
    s3.partSize = parseSize('multipart-chunk-size', value, MIB, 5 * GIB);
  },
  // Its older name.
  'buffer-size': (value, { s3 }) => {
    s3.partSize = parseSize('buffer-size', value, MIB, 5 * GIB);
  },
};

/**
 * Parses Nix's store URLs: `file:///path?compression=zstd&…`, `s3://bucket/prefix?endpoint=…&region=…`,
 * `https://host/path`, or a plain path. An unknown parameter is an error.
 */
export function parseCacheUrl(text: string): CacheUrl {
  const [base, query] = split(text);
  checkWriting(text, base);
  const parameters = schemeOf(base) === 's3' ? { ...COMMON_PARAMETERS, ...S3_PARAMETERS } : COMMON_PARAMETERS;
  const settings: Settings = {
    common: {},
    secretKeyFiles: [],
    s3: { style: 'auto', multipartThreshold: 16 * MIB, partSize: 8 * MIB },
    scheme: 'https',
  };
  for (const [name, value] of new URLSearchParams(query)) {
    const read = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (read === undefined) throw unknownParameter(name, parameters);
    read(value, settings);
  }
  return {
    ...settings.common,
    secretKeyFiles: settings.secretKeyFiles,
    location: parseLocation(base, settings.s3, settings.scheme),
  };
}

/** The name of a file: no `%` of a key hides it from who masks what is secret. */
function keyFile(name: string, value: string): string {
  if (looksLikeKey(value)) throw misplacedKey(`\`${name}=\` in a cache's URL`);
  return value;
}

function unknownParameter(name: string, parameters: Parameters): CarportError {
  if (Object.hasOwn(S3_PARAMETERS, name)) {
    return usage(`\`${name}\` is a parameter of \`s3://\` caches only`, `leave \`${name}=\` out`);
  }
  return usage(`\`${name}\` is not a parameter of a cache's URL`, suggestion(name, Object.keys(parameters)));
}

/** Only the first `?` begins the parameters. */
function split(text: string): readonly [base: string, query: string] {
  const mark = text.indexOf('?');
  return mark < 0 ? [text, ''] : [text.slice(0, mark), text.slice(mark + 1)];
}

function parseNumber(name: string, value: string): number {
  if (!/^-?[0-9]{1,9}$/.test(value)) throw usage(`\`${name}=${value}\` is not a number`);
  return Number(value);
}

function parseSize(name: string, value: string, min: number, max: number): number {
  const size = Number(value);
  if (/^[0-9]{1,12}$/.test(value) && size >= min && size <= max) return size;
  throw usage(`\`${name}=${value}\` is not a number of bytes from ${min} to ${max}`);
}

function parseBoolean(name: string, value: string): boolean {
  if (['true', '1', 'yes'].includes(value)) return true;
  if (['false', '0', 'no'].includes(value)) return false;
  throw usage(`\`${name}=${value}\` is neither true nor false`);
}

function oneOf<T extends string>(name: string, value: string, values: readonly T[]): T {
  const found = values.find((each) => each === value);
  if (found !== undefined) return found;
  throw usage(`\`${name}=${value}\` is none of ${values.join(', ')}`);
}

function notEmpty(name: string, value: string): string {
  if (value !== '') return value;
  throw usage(`\`${name}\` is empty`, `leave \`${name}=\` out, or say which`);
}
