/** Where images are: a layout in a directory, or a repository of a registry. */

import type { RequestBody } from '../http/transport.js';
import type { Descriptor, RawManifest } from './documents.js';

/** Images and what they are made of. */
export interface ImageStore {
  /** For messages. */
  readonly description: string;
  readonly isRemote: boolean;
  /** The manifest or index of a tag or digest, checked; `undefined` when there is none. Without a reference the only one. */
  manifest(reference: string | undefined): Promise<RawManifest | undefined>;
  /** Bytes that can be read several times, and that fail at their end where they are not what the descriptor says. */
  blob(descriptor: Descriptor): Promise<Exclude<RequestBody, Uint8Array>>;
  hasBlob(descriptor: Descriptor): Promise<boolean>;
  /** `from`: a repository of the same registry that may have it. Tells whether it was sent, or taken from there. */
  putBlob(descriptor: Descriptor, body: RequestBody, from?: string): Promise<'sent' | 'mounted'>;
  /** After its blobs. `isListed` false: of an index that follows. */
  putManifest(manifest: RawManifest, tag: string | undefined, isListed?: boolean): Promise<void>;
  tags(): Promise<readonly string[]>;
  close(): Promise<void>;
}
