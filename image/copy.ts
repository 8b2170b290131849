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

/** Manifests of an index, and of those in it; more is nobody's image. */
export const MOST_MANIFESTS = 1000;

/** Indexes that are in each other. */
export const MOST_LEVELS = 4;

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
  const seen = { manifests: new Set<string>(), blobs: new Set<string>() };
  const copied = await copyTree(image, 0, { ...work, source, target, seen });
  await target.putManifest(image, tag);
  return copied;
}

/** What a copy has done so far: a hostile index names the same again and again. */
interface Tree extends Work<ActivityEvent> {
  readonly source: BlobSource;
  readonly target: ImageStore;
  /** Digests of manifests and blobs. */
  readonly seen: { readonly manifests: Set<string>; readonly blobs: Set<string> };
}

async function copyTree(image: RawManifest, depth: number, tree: Tree): Promise<Copied> {
  const { source, target, seen, signal } = tree;
  const what = `\`${image.descriptor.digest}\``;
  if (!isIndexType(image.descriptor.mediaType)) {
    const { config, layers } = parseManifest(what, image.bytes);
    const blobs = [config, ...layers].filter(({ digest }) => !seen.blobs.has(digest));
    for (const { digest } of blobs) seen.blobs.add(digest);
    return copyBlobs(blobs, () => source, target, tree);
  }
  if (depth === MOST_LEVELS)
    throw tooMuch(`${what} is an index in ${MOST_LEVELS} others`, 'so many are nobody’s image');
  const { manifests } = parseIndex(what, image.bytes);
  const distinct = new Set([...seen.manifests, ...manifests.map(({ digest }) => digest)]);
  if (distinct.size > MOST_MANIFESTS)
    throw tooMuch(`${what} has more than ${MOST_MANIFESTS} images`, `at most ${MOST_MANIFESTS} are copied`);
  let copied = NOTHING;
  for (const child of manifests) {
    signal.throwIfAborted();
    if (seen.manifests.has(child.digest)) continue;
    seen.manifests.add(child.digest);
    const found = await childOf(source.store, child);
    copied = add(copied, await copyTree(found, depth + 1, tree));
    await target.putManifest(found, undefined, false);
  }
  return copied;
}

function tooMuch(message: string, hint: string): CarportError {
  return new CarportError('E_UNSUPPORTED', message, { hint });
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
