/** Sends images of a plan to their repositories: each with the tags that stay, and when all are there, those that move. */

import { type BlobSource, type Copied, copyBlobs, copyImage } from '../../../image/copy.js';
import type { Made } from '../../../image/sign/sign.js';
import { CarportError } from '../../../lib/errors.js';
import type { ActivityEvent, Work } from '../../../lib/work.js';
import { titleOf } from './plan.js';
import { checkTaken, type Repository, type WantedTag } from './repositories.js';
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

interface How {
  readonly sign: Signer;
  /** Whether the tag of a version is taken from another image. */
  readonly replaces: boolean;
}

/** Sends all, in their order. Of what fails the error says which image it was, and what is there already. */
export async function sendAll(
  repositories: readonly Repository[],
  workshop: Workshop,
  { sign, replaces }: How,
  work: Work<ActivityEvent>,
): Promise<readonly Sent[]> {
  const sent: Sent[] = [];
  for (const repository of repositories) {
    const one = await telling(repository, sent, async () => {
      const built = workshop.built.get(repository.destination.unit)!;
      const { isThere, blobs } = await sendOne(repository, built, workshop, work);
      // Whoever pulls by a tag finds a signature.
      const signed = await sign(repository, built);
      const { digest } = built.manifest.descriptor;
      const isCurrent = isThere && repository.tags.every(({ was, newer }) => newer !== undefined || was === digest);
      const now = await giveTags(repository, built, ({ stays }) => stays, replaces);
      return { repository: now, built, state: isCurrent ? ('current' as const) : ('pushed' as const), blobs, signed };
    });
    sent.push(one);
  }
  // Whoever pulls `latest` of one image finds that of the others, too, as far as that can be.
  for (const onlyNewest of [false, true]) {
    for (const [at, { repository, built, ...more }] of sent.entries()) {
      const isMoving = (tag: WantedTag) => !tag.stays && tag.onlyNewest === onlyNewest;
      const now = await telling(repository, sent, () => giveTags(repository, built, isMoving, replaces));
      sent[at] = { ...more, built, repository: now };
    }
  }
  return sent;
}

/** Sends blobs and manifest; no tag names it yet. */
async function sendOne(
  { open, tags }: Repository,
  { manifest, baseBlobs }: BuiltUnit,
  workshop: Workshop,
  work: Work<ActivityEvent>,
): Promise<{ readonly isThere: boolean; readonly blobs: Copied }> {
  const { digest } = manifest.descriptor;
  const isThere = tags.some(({ was }) => was === digest) || (await open.store.manifest(digest)) !== undefined;
  if (isThere) return { isThere, blobs: NOTHING };
  const sourceOf = (blob: (typeof baseBlobs)[number]): BlobSource => ({
    store: workshop.storeOf(blob),
    repository: open.mountFrom,
  });
  const ofBase = await copyBlobs(baseBlobs, sourceOf, open.store, work);
  const own = await copyImage(manifest, { store: workshop.layout }, { target: open.store, tag: undefined }, work);
  // The layers of the base were there when the rest was sent.
  const present = Math.max(0, own.present - ofBase.sent - ofBase.mounted - ofBase.present) + ofBase.present;
  const blobs = {
    sent: own.sent + ofBase.sent,
    sentBytes: own.sentBytes + ofBase.sentBytes,
    mounted: ofBase.mounted,
    present,
  };
  return { isThere, blobs };
}

/** Gives those tags that are chosen, as far as they are still to be had, and returns the repository as it is found then. */
async function giveTags(
  repository: Repository,
  { manifest }: BuiltUnit,
  isChosen: (tag: WantedTag) => boolean,
  replaces: boolean,
): Promise<Repository> {
  const { open, lookAgain } = repository;
  const { digest } = manifest.descriptor;
  const tags: WantedTag[] = [];
  for (const each of repository.tags) {
    // What is there already needs no look: it would not be given.
    if (!isChosen(each) || each.newer !== undefined || each.was === digest) {
      tags.push(each);
      continue;
    }
    const [now] = await lookAgain([each]);
    if (!replaces) checkTaken({ ...repository, tags: [now!] }, digest);
    if (now!.newer === undefined && now!.was !== digest) await open.store.putManifest(manifest, each.tag);
    tags.push(now!);
  }
  return { ...repository, tags };
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
