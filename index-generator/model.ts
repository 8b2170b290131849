/**
 * What the page and the JSON files are made of. All text in it is as hostile as the bucket: versions, targets and file names
 * may hold anything but `/`.
 */

import type { Channel } from '../release/version.js';

export type { Channel };

/** All releases of a bucket. */
export interface ReleaseIndex {
  /** By channel, in the order in which they are shown: stable by version, the others by time, newest first. */
  readonly releases: Readonly<Record<Channel, readonly Release[]>>;
}

/** Everything that was published under one version. */
export interface Release {
  /** The tag or the commit, unmodified. */
  readonly version: string;
  readonly channel: Channel;
  /** When its first file was written, as RFC 3339 in UTC (`2023-01-02T03:04:05Z`). A second upload of the same bytes moves it. */
  readonly time: string;
  /** Sorted by triple; at least one. */
  readonly targets: readonly ReleaseTarget[];
  /** Triples that another stable release has and this stable one does not have, sorted. Empty in other channels. */
  readonly missingTargets: readonly string[];
  /** Full 40 hex digits, when known. */
  readonly commit?: string;
  /** It should not be used any more, and why. */
  readonly yanked?: { readonly reason: string };
}

/** What a release has for one platform. */
export interface ReleaseTarget {
  /** The platform's triple: `aarch64-unknown-linux-musl`. */
  readonly target: string;
  /** Sorted by name; at least one. */
  readonly files: readonly ReleaseFile[];
}

/** One file that can be downloaded. */
export interface ReleaseFile {
  /** The last part of the key: `garage`. */
  readonly name: string;
  /** In the bucket, not percent-encoded: `_releases/v1.2.0/x86_64-unknown-linux-musl/garage`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was written, as RFC 3339 in UTC. */
  readonly time: string;
  /** 64 hex digits in lower case, when known. */
  readonly sha256?: string;
}
