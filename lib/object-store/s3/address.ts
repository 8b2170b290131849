/** Where a bucket is. */

import { canonicalQuery, encodePath } from '../../http/encode.js';
import { isIpAddress } from '../../http/ip-address.js';

/** What a cache's URL says of a bucket. */
export interface S3Location {
  readonly kind: 's3';
  readonly bucket: string;
  /** The directory in the bucket, without slashes around it; empty for the bucket itself. */
  readonly prefix: string;
  /** Scheme, host and port; `undefined` for Amazon's, or what the environment says. */
  readonly endpoint?: string;
  readonly region?: string;
  readonly profile?: string;
  readonly style: AddressingStyle;
  readonly storageClass?: string;
  /** Bytes from which an object goes in parts, and bytes of a part. */
  readonly multipartThreshold: number;
  readonly partSize: number;
}

export type AddressingStyle = 'auto' | 'path' | 'virtual';

/** Where a bucket is. */
export interface S3Address {
  /** As it was given, without the bucket. */
  readonly endpoint: URL;
  /** What keys are added to: a bucket is in the host or the path. */
  readonly base: URL;
  readonly bucket: string;
  readonly region: string;
}

/** The address of a location; a bucket without an endpoint is Amazon's. */
export function addressOf({ bucket, endpoint, style }: S3Location, region: string): S3Address {
  const server = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`);
  const base = new URL(server);
  // A certificate for `*.s3.example.org` does not cover a bucket with dots.
  const wanted = style === 'virtual' || (style === 'auto' && endpoint === undefined && !bucket.includes('.'));
  const isAddress = isIpAddress(server.hostname);
  // Hosts have no capitals, and nothing goes before an address.
  const isVirtual = wanted && bucket === bucket.toLowerCase() && !isAddress;
  if (isVirtual) base.hostname = `${bucket}.${base.hostname}`;
  base.pathname = isVirtual ? '/' : `/${encodePath(bucket)}/`;
  return { endpoint: server, base, bucket, region };
}

/** The URL of an object by its whole key. */
export function objectUrl({ base }: S3Address, key: string, query: Readonly<Record<string, string>> = {}): URL {
  const parameters = Object.entries(query);
  const search = parameters.length === 0 ? '' : canonicalQuery(parameters);
  return new URL(base.href + encodePath(key) + (search === '' ? '' : `?${search}`));
}
