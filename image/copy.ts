/** Takes images from one place to another: blobs first, then manifests, then the index that names them. */

import { mapAtMost } from '../lib/concurrency.js';
import type { Descriptor } from '../lib/oci/documents.js';
import type { ImageStore } from '../lib/oci/store.js';
import type { ActivityEvent, Work } from '../lib/work.js';

/** Where a blob is read from, if the place that an image goes to does not have it. */
export interface BlobSource {
  readonly store: ImageStore;
  /** The repository where a registry has it, if that is the one that it goes to. */
  readonly repository?: string | undefined;
}

/** What was sent, in blobs and bytes; manifests do not count. */
interface Copied {
  readonly sent: number;
  readonly sentBytes: number;
  readonly mounted: number;
  readonly present: number;
}

/** Blobs on their way at once. */
const AT_ONCE = 4;

const NOTHING: Copied = { sent: 0, sentBytes: 0, mounted: 0, present: 0 };

/** Sends those blobs that the target lacks, each once. */
export async function copyBlobs(
  blobs: readonly Descriptor[],
  sourceOf: (blob: Descriptor) => BlobSource,
  target: ImageStore,
  { emit, signal }: Work<ActivityEvent>,
): Promise<Copied> {
  const each = [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
  const results = await mapAtMost(
    AT_ONCE,
    each,
    async (blob): Promise<Copied> => {
      if (await target.hasBlob(blob)) return { ...NOTHING, present: 1 };
      const { store, repository } = sourceOf(blob);
      emit({ type: 'item-started', name: blob.digest, size: blob.size });
      const how = await target.putBlob(blob, await store.blob(blob), repository);
      emit({ type: 'progress', bytes: blob.size });
      emit({ type: 'item-finished', name: blob.digest, size: blob.size });
      return how === 'mounted' ? { ...NOTHING, mounted: 1 } : { ...NOTHING, sent: 1, sentBytes: blob.size };
    },
    signal,
  );
  return results.reduce(add, NOTHING);
}

function add(a: Copied, b: Copied): Copied {
  return {
    sent: a.sent + b.sent,
    sentBytes: a.sentBytes + b.sentBytes,
    mounted: a.mounted + b.mounted,
    present: a.present + b.present,
  };
}
