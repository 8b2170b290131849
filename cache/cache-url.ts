import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  isWritableCompression,
  WRITABLE_COMPRESSIONS,
  type WritableCompression,
} from '../lib/compression/compressor.js';
import { CarportError } from '../lib/errors.js';
import { suggestion } from '../lib/suggestion.js';
import { isKey } from './object-store/object-store.js';
import type { S3Location } from './object-store/s3/address.js';

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

export type CacheLocation =
  | { readonly kind: 'file'; readonly root: string }
  /** The directory of `nix-cache-info`; its path ends with `/`. */
  | { readonly kind: 'http'; readonly url: URL }
  | S3Location;

interface Settings {
  common: { -readonly [K in keyof Omit<CacheUrl, 'location' | 'secretKeyFiles'>]: CacheUrl[K] };
  secretKeyFiles: string[];
  s3: { -readonly [K in keyof Omit<S3Location, 'kind' | 'bucket' | 'prefix'>]: S3Location[K] };
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
  'secret-key': (value, { secretKeyFiles }) => void secretKeyFiles.push(value),
  'secret-keys': (value, { secretKeyFiles }) =>
    void secretKeyFiles.push(...value.split(',').filter((file) => file !== '')),
  'write-nar-listing': (value, { common }) => {
    common.writeListing = parseBoolean('write-nar-listing', value);
  },
  priority: (value, { common }) => {
    common.priority = parseNumber('priority', value);
  },
  'want-mass-query': (value, { common }) => {
    common.wantMassQuery = parseBoolean('want-mass-query', value);
  },
};

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
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(base)?.[1]?.toLowerCase();
  const parameters = scheme === 's3' ? { ...COMMON_PARAMETERS, ...S3_PARAMETERS } : COMMON_PARAMETERS;
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
    location: parseLocation(base, scheme, settings),
  };
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

function parseLocation(base: string, scheme: string | undefined, settings: Settings): CacheLocation {
  if (base === '') throw usage("a cache's URL is empty", 'give one such as `file:///srv/cache`');
  switch (scheme) {
    case undefined:
      return { kind: 'file', root: resolve(base) };
    case 'file':
      return { kind: 'file', root: parseRoot(base) };
    case 'http':
    case 'https':
      return { kind: 'http', url: parseHttpUrl(base) };
    case 's3':
      return parseS3(base, settings);
    default:
      throw usage(
        `\`${scheme}://\` caches are not supported`,
        'use `s3://bucket`, `https://host`, `file:///path`, or a plain path',
      );
  }
}

function parseRoot(base: string): string {
  try {
    return fileURLToPath(base);
  } catch (cause) {
    throw new CarportError(
      'E_USAGE',
      `\`${base.replace(/^(file:\/\/)[^/]*@/i, '$1')}\` is not the URL of a directory`,
      {
        cause,
        hint: 'a `file://` URL has three slashes before an absolute path: `file:///srv/cache`',
      },
    );
  }
}

function parseHttpUrl(base: string): URL {
  const url = parseServerUrl(base, "a cache's URL");
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Messages do not repeat what may hold a password. */
function parseServerUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '')
    throw usage(`${what} is not a URL`, 'it looks like `https://host:port`');
  if (url.username === '' && url.password === '') return url;
  throw usage(
    `${what} must not hold a user name or password: others can see command lines`,
    'put them into `~/.netrc`',
  );
}

function parseS3(base: string, { s3, scheme }: Settings): S3Location {
  const [bucket = '', ...rest] = base.slice('s3://'.length).split('/');
  if (bucket.includes('@')) {
    throw usage(
      "a cache's URL must not hold a user name or password: others can see command lines",
      'put an access key into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into a profile',
    );
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(bucket)) {
    throw usage(
      `\`${bucket}\` is not the name of a bucket`,
      'it looks like `s3://bucket?endpoint=https://host&region=garage`',
    );
  }
  const prefix = rest.join('/').replace(/\/+$/, '');
  if (prefix !== '' && !isKey(prefix)) throw usage(`\`${prefix}\` is not a directory in a bucket`);
  const { endpoint, ...others } = s3;
  return { kind: 's3', bucket, prefix, ...others, ...(endpoint && { endpoint: parseEndpoint(endpoint, scheme) }) };
}

/** A URL, or a host with the parameter `scheme`. */
export function parseEndpoint(text: string, scheme = 'https'): string {
  const url = parseServerUrl(/^[a-z]+:\/\//i.test(text) ? text : `${scheme}://${text}`, 'the endpoint');
  if (!['http:', 'https:'].includes(url.protocol)) throw usage('the endpoint is neither `http://` nor `https://`');
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url.origin;
  // A server would take it for a bucket, and write there.
  throw usage(
    `the endpoint has a path: \`${url.pathname}\``,
    `write \`endpoint=${url.origin}\`; the bucket is the host of \`s3://bucket\``,
  );
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

function usage(message: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', message, hint === undefined ? {} : { hint });
}
