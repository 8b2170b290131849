/** What an index is to its publisher. */

import type { Notice } from '../../lib/notice.js';
import type { Project } from '../documents/kinds.js';

/** What is published to tell of releases. */
export interface Publication {
  /** In the order in which they are to be written; made one after the other, since all of them may be large. */
  readonly entries: Iterable<PublishedFile | PublishedCopy>;
  /** How many releases it tells of. */
  readonly releases: number;
  /** The newest of the tags, where none of them is stable, and a pattern could change that. */
  readonly neverStable?: string;
  /** The newest time that it tells of: RFC 3339 in UTC, to the second. */
  readonly updated?: string;
  /** What is to be remembered of the project; as before where it is not said. */
  readonly project?: Project;
  /** What was left out, and why. */
  readonly warnings: readonly Notice[];
  /** True for a key below `releases/` that an earlier publication may have written: what is not written any more goes. */
  owns(key: string): boolean;
  /** Of what lies at a key where others may have something of theirs, too: whether it is ours. All is, where this is not there. */
  recognizes?(key: string): ((there: Buffer) => boolean) | undefined;
}

export interface PublishedFile {
  readonly key: string;
  readonly content: string;
  readonly contentType: string;
  /** The same for the same content, where that is known before the content is made. */
  readonly fingerprint?: string;
  /** Whether what is there may be written over: all may where this is not there. */
  mayReplace?(there: Buffer): boolean;
  /** The same content, of a large file that need not be in memory as a whole. */
  pieces?(): Iterable<string>;
}

/** A second key of an object, for readers. */
export interface PublishedCopy {
  readonly key: string;
  /** The key of the object. */
  readonly source: string;
}
