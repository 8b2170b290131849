/** The job that gives trees their names, many in one go. */

import type { PlaceJob, SmallNarState, UnplacedTree } from '../../jobs.js';
import { placeTree } from './tree.js';

/** Places trees in their order, and gives what became of each. Fails for none of them. */
export function placeTrees({ trees }: PlaceJob): readonly SmallNarState[] {
  return (JSON.parse(trees) as readonly UnplacedTree[]).map(({ tree, placement }) => placeTree(tree, placement));
}
