/** Removes what a plan says of a repository. */

import { CarportError } from '../../lib/errors.js';
import type { Repository } from '../../lib/oci/registry/repository.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { type RepositoryFacts, readFacts, type TagFact } from './facts.js';
import { type PrunePlan, planAgain, type Removal } from './plan.js';

/** What was done. */
export interface Pruned {
  /** What was still to be done. */
  readonly plan: PrunePlan;
  readonly removed: readonly Removal[];
  readonly untagged: readonly TagFact[];
  /** Tags that the registry cannot remove without the image, which stays. */
  readonly stuck: readonly TagFact[];
}

/** Removes images and tags one after the other. What has got a tag since it was looked at stays, with all that it refers to. */
export async function removePlanned(
  repository: Repository,
  planned: PrunePlan,
  known: RepositoryFacts['nodes'],
  work: Work<ActivityEvent>,
): Promise<Pruned> {
  const { emit, signal } = work;
  const plan = planAgain(await readFacts(repository, work, known), planned);
  const { untag, remove, needed } = plan;
  const removed: Removal[] = [];
  const untagged: TagFact[] = [];
  const stuck: TagFact[] = [];
  emit({ type: 'started', verb: 'remove', unit: 'images', items: remove.length + untag.length });
  try {
    for (const each of untag) {
      signal.throwIfAborted();
      // It may be another image's by now.
      const isSame = (await repository.manifest(each.tag))?.descriptor.digest === each.digest;
      if (isSame) ((await repository.remove(each.tag)) === 'kept' ? stuck : untagged).push(each);
      emit({ type: 'progress', items: 1 });
    }
    for (const each of remove) {
      signal.throwIfAborted();
      const about = await repository.referrers(each.digest);
      await repository.remove(each.digest);
      // A list of what is about an image may name anything.
      for (const { digest } of about) if (!needed.has(digest)) await repository.remove(digest);
      removed.push(each);
      emit({ type: 'progress', items: 1 });
    }
  } catch (error) {
    if (!(error instanceof CarportError) || removed.length === 0) throw error;
    const { code, message, cause, hint } = error;
    throw new CarportError(code, `${message}; ${removed.length} of ${remove.length} images were removed`, {
      cause,
      hint,
    });
  }
  return { plan, removed, untagged, stuck };
}
