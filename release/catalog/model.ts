/**
 * What the page, the feeds and the JSON files are made of. All text in it is as hostile as the bucket: versions,
 * targets and file names may hold anything but `/`.
 */

import type { Fragment } from '../documents/kinds.js';
import { CHANNELS, type Channel } from '../version.js';
import type { PythonFacts } from '../wheels/facts.js';

/** All releases of a bucket. */
export interface ReleaseIndex {
  /** By channel, in the order in which they are shown: stable by version, the others by time, newest first. */
  readonly releases: Readonly<Record<Channel, readonly Release[]>>;
  /** The newest time of what was said of releases, also of those that are not shown, and no clock's. */
  readonly updated?: string;
}

/** Of all channels, in their order. */
export function allReleases({ releases }: ReleaseIndex): readonly Release[] {
  return CHANNELS.flatMap((channel) => releases[channel]);
}

/** Everything that was published under one version. */
export interface Release {
  /** The tag or the commit, unmodified. */
  readonly version: string;
  readonly channel: Channel;
  /** The part of a monorepo that it is of; nothing for the project itself. */
  readonly component?: string | undefined;
  /**
   * When it was published, as RFC 3339 in UTC (`2023-01-02T03:04:05Z`). Where nobody signed that, when its first file was
   * written: a second upload of the same bytes moves it.
   */
  readonly time: string;
  /** When something was last said of it: that it is there, is yanked, or is not yanked any more. */
  readonly changed: string;
  /** When the last of its targets was signed; all of its files are. Nothing when nobody has signed any of them. */
  readonly signed?: string;
  /** Sorted by triple; at least one. */
  readonly targets: readonly ReleaseTarget[];
  /** Triples that another stable release has, or that are required, and this stable one lacks, sorted. Empty in other channels. */
  readonly missingTargets: readonly string[];
  /** A file that was signed is missing, is another one, or is signed no more. */
  readonly incomplete?: true;
  /** All its hex digits, 40 or 64, when known. */
  readonly commit?: string;
  /** What built it, when known. */
  readonly ci?: Fragment['ci'];
  /** The release that it is the same as, and what was found before it was made of that. */
  readonly promotedFrom?: { readonly version: string; readonly gates: NonNullable<Fragment['promotion']>['gates'] };
  /** What is new in it, as Markdown, when somebody has said so: hostile, as all other text. */
  readonly notes?: string;
  /** It should not be used any more: why, and since when, where that is believed. */
  readonly yanked?: { readonly reason: string; readonly time: string | null };
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
  /** The store path that it was taken from, when known. */
  readonly storePath?: string;
  /** What is known of a wheel or a source distribution. */
  readonly python?: PythonFacts;
  /** Whether the metadata of a wheel lies beside it. */
  readonly hasMetadata?: true;
}
