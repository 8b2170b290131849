/** Takes images from one place to another: blobs first, then manifests, then the index that names them. */

import { mapAtMost } from '../lib/concurrency.js';
import { CarportError } from '../lib/errors.js';
import { type Descriptor, parseIndex, parseManifest, type RawManifest } from '../lib/oci/documents.js';
import { isIndexType } from '../lib/oci/media-types.js';
import type { ImageStore } from '../lib/oci/store.js';
import type { ActivityEvent, Work } from '../lib/work.js';

/** Where a blob is read from, if the place that an image goes to does not have it. */
export interface BlobSource {
  readonly store: ImageStore;
  /** The repository where a registry has it, if that is the one that it goes to. */
  readonly repository?: string | undefined;
}

/** What was sent, in blobs and bytes; manifests do not count. */
export interface Copied {
  readonly sent: number;
  readonly sentBytes: number;
  readonly mounted: number;
  readonly present: number;
}

/** Blobs on their way at once. */
const AT_ONCE = 4;

/** Manifests in an index; more is nobody's image. */
const MOST_MANIFESTS = 1000;

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

/** Copies an image, or an index and all of its images, and gives it a tag. */
export async function copyImage(
  image: RawManifest,
  source: BlobSource,
  { target, tag }: { readonly target: ImageStore; readonly tag: string | undefined },
  work: Work<ActivityEvent>,
): Promise<Copied> {
  const copied = await copyTree(image, source, target, work);
  await target.putManifest(image, tag);
  return copied;
}

async function copyTree(
  image: RawManifest,
  source: BlobSource,
  target: ImageStore,
  work: Work<ActivityEvent>,
): Promise<Copied> {
  const what = `\`${image.descriptor.digest}\``;
  if (!isIndexType(image.descriptor.mediaType)) {
    const { config, layers } = parseManifest(what, image.bytes);
    return copyBlobs([config, ...layers], () => source, target, work);
  }
  const { manifests } = parseIndex(what, image.bytes);
  if (manifests.length > MOST_MANIFESTS) {
    throw new CarportError('E_UNSUPPORTED', `${what} has ${manifests.length} images`, {
      hint: `at most ${MOST_MANIFESTS} are copied`,
    });
  }
  let copied = NOTHING;
  for (const child of manifests) {
    const found = await childOf(source.store, child);
    // An index of indexes would be copied without an end where it names itself; its digest says that it cannot.
    copied = add(copied, await copyTree(found, source, target, work));
    await target.putManifest(found, undefined, false);
  }
  return copied;
}

async function childOf(store: ImageStore, child: Descriptor): Promise<RawManifest> {
  const found = await store.manifest(child.digest);
  if (found) return found;
  throw new CarportError(
    'E_NOT_FOUND',
    `${store.description} does not have \`${child.digest}\`, which its index names`,
    {
      hint: 'the image is not whole where it is: copy or push it there again',
    },
  );
}

function add(a: Copied, b: Copied): Copied {
  return {
    sent: a.sent + b.sent,
    sentBytes: a.sentBytes + b.sentBytes,
    mounted: a.mounted + b.mounted,
    present: a.present + b.present,
  };
}
