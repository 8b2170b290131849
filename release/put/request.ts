/** What is to be published of one target, and what has become of each file. */

import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { Fragment, FragmentFile } from '../documents/kinds.js';
import type { FileDigest } from './local-file.js';

/** Files that are to be published for one target of a version, and by whose keys. */
export interface PutRequest {
  readonly version: string;
  readonly target: string;
  readonly commit: string | null;
  readonly ci: Fragment['ci'];
  /** What is new in the release; without it what was said before stays. */
  readonly notes?: string;
  /** Their names differ. */
  readonly files: readonly FileToPut[];
  /** The time of the request, as documents have it. */
  readonly time: string;
  /** Put them whatever is there. */
  readonly replace: boolean;
  /** Take wheels and source distributions that are not what they say for any other files. */
  readonly allowFaulty?: boolean | undefined;
  /** Change nothing. */
  readonly dryRun: boolean;
  /** In place of what a file's name says. */
  readonly contentType?: string;
  readonly cacheControl: string;
  /** Sign the fragment; empty where nothing is written, or unsigned documents are believed. */
  readonly keys: readonly SecretKey[];
  readonly policy: TrustPolicy;
}

/** A file of this machine, and the name under which it is to be published. */
export interface FileToPut {
  readonly path: string;
  readonly name: string;
}

/** What a put tells, and what it waits with. */
export interface PutWork extends Work<ActivityEvent> {
  /** Waits so many milliseconds, for other jobs that write the same fragment. */
  readonly pause: (milliseconds: number) => Promise<unknown>;
}

/** What has become of a file, or would. */
export interface PutFile extends FileDigest {
  readonly name: string;
  readonly key: string;
  readonly state: 'uploaded' | 'unchanged';
}

/** A file that was read, and what the fragment is to say of it. */
export interface ReadFile extends PutFile {
  /** What was read is here, unless nothing is to be uploaded. */
  readonly copy?: string;
  readonly entry: FragmentFile;
}

/** What the fragment is to say of files. */
export function entriesOf(files: readonly ReadFile[]): readonly FragmentFile[] {
  return files.map(({ entry }) => entry);
}
