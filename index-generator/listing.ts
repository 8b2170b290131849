/**
 * What the index generator reads: a listing of a bucket, and the releases that it makes of it. The generator is to come;
 * these are the shapes that it will take, so that what lists a bucket can be built beside it.
 */

/** An object of a bucket, as a listing tells it. */
export interface ListingEntry {
  /** Such as `_releases/v1.2.0/x86_64-unknown-linux-musl/garage`. */
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When the object was last written: RFC 3339, in UTC. A second upload of the same bytes moves it. */
  readonly lastModified: string;
}

/** A tag of three numbers is `stable`, another tag is `extra`, a commit is `development`. */
export type Channel = 'stable' | 'extra' | 'development';

/** Everything that was published under one version. */
export interface Release {
  /** The tag or the commit, unmodified. */
  readonly version: string;
  readonly channel: Channel;
  readonly targets: readonly ReleaseTarget[];
}

/** What a release has for one platform. */
export interface ReleaseTarget {
  /** The platform's triple: `aarch64-unknown-linux-musl`. */
  readonly target: string;
  readonly files: readonly ListingEntry[];
}
