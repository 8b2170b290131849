/** Sends images of a plan to their repositories: each with the tags that stay, and when all are there, those that move. */

import { type BlobSource, type Copied, copyBlobs, copyImage } from '../../../image/copy.js';
import type { Made } from '../../../image/sign/sign.js';
import { CarportError } from '../../../lib/errors.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { titleOf } from './plan.js';
import type { Repository, WantedTag } from './repositories.js';
import type { Signer } from './signer.js';
import type { BuiltUnit, Workshop } from './workshop.js';

/** What has become of an image at its destination. */
export interface Sent {
  readonly repository: Repository;
  readonly built: BuiltUnit;
  readonly state: 'pushed' | 'current';
  readonly blobs: Copied;
  readonly signed: readonly Made[];
}

const NOTHING: Copied = { sent: 0, sentBytes: 0, mounted: 0, present: 0 };

/** Sends all, in their order. Of what fails the error says which image it was, and what is there already. */
export async function sendAll(
  repositories: readonly Repository[],
  workshop: Workshop,
  sign: Signer,
  work: Work<ActivityEvent>,
): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  for (const repository of repositories) {
    const one = await telling(repository, sent, async () => {
      const { built, ...more } = await sendOne(repository, workshop, work);
      return { built, ...more, signed: await sign(repository, built) };
    });
    sent.push(one);
  }
  // Whoever pulls `latest` of one image finds that of the others, too, as far as that can be.
  for (const onlyNewest of [false, true]) {
    for (const { repository, built } of sent) {
      const moving = repository.tags.filter((tag) => !tag.stays && tag.onlyNewest === onlyNewest);
      await telling(repository, sent, () => giveTags(repository, built, moving));
    }
  }
  return sent;
}

async function sendOne(
  repository: Repository,
  workshop: Workshop,
  work: Work<ActivityEvent>,
): Promise<Omit<Sent, 'signed'>> {
  const { destination, open, tags } = repository;
  const built = workshop.built.get(destination.unit)!;
  const { manifest, baseBlobs } = built;
  const { digest } = manifest.descriptor;
  const isThere = tags.some(({ was }) => was === digest) || (await open.store.manifest(digest)) !== undefined;
  let blobs = NOTHING;
  if (!isThere) {
    const sourceOf = (blob: (typeof baseBlobs)[number]): BlobSource => ({
      store: workshop.storeOf(blob),
      repository: open.mountFrom,
    });
    const ofBase = await copyBlobs(baseBlobs, sourceOf, open.store, work);
    const own = await copyImage(manifest, { store: workshop.layout }, { target: open.store, tag: undefined }, work);
    // The layers of the base were there when the rest was sent.
    const present = Math.max(0, own.present - ofBase.sent - ofBase.mounted - ofBase.present) + ofBase.present;
    blobs = {
      sent: own.sent + ofBase.sent,
      sentBytes: own.sentBytes + ofBase.sentBytes,
      mounted: ofBase.mounted,
      present,
    };
  }
  await giveTags(
    repository,
    built,
    tags.filter(({ stays }) => stays),
  );
  const isCurrent = isThere && tags.every(({ was, newer }) => newer !== undefined || was === digest);
  return { repository, built, state: isCurrent ? 'current' : 'pushed', blobs };
}

async function giveTags({ open }: Repository, { manifest }: BuiltUnit, tags: readonly WantedTag[]): Promise<void> {
  for (const { tag, was, newer } of tags)
    if (newer === undefined && was !== manifest.descriptor.digest) await open.store.putManifest(manifest, tag);
}

/** Names the image that failed, and those that are there. */
async function telling<T>({ destination }: Repository, sent: readonly Sent[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    const names = sent.map(({ repository }) => titleOf(repository.destination));
    const there = names.length === 0 ? 'nothing else was pushed' : `pushed already: ${names.join(', ')}`;
    throw new CarportError(error.code, `${titleOf(destination)} is not published: ${error.message}`, {
      cause: error.cause,
      hint: `${error.hint === undefined ? '' : `${error.hint}; `}${there}; the same command does what is left`,
    });
  }
}
