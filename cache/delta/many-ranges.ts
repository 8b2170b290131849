/** Servers that send several ranges of a NAR in one answer. */

import { CarportError } from '../../lib/errors.js';
import { type ByteRange, hasLinks, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { FoundPath } from '../find-path.js';
import { narObject } from '../nars.js';

/** Ranges of one request: Apache takes no more than 200, and most servers 8 KB of header. */
export const MOST_TOGETHER = 192;

/** Which servers do, as their stores have found out. */
export interface ManyRanges {
  /** Whether those of a NAR are asked for together. */
  has(found: FoundPath): boolean;
  /** A server does not, or not always. */
  giveUp(objects: ObjectStore): void;
  /** The bytes of ranges of a NAR, one after another, as of `openMany`. */
  open(found: FoundPath, ranges: readonly ByteRange[]): Promise<AsyncIterable<Uint8Array> | undefined>;
}

export function createManyRanges(): ManyRanges {
  const givenUp = new WeakSet<ObjectStore>();
  return {
    has(found) {
      const { objects } = found;
      return hasLinks(objects) && objects.sendsManyRanges() && !givenUp.has(objects) && isOnServer(found);
    },
    giveUp: (objects) => void givenUp.add(objects),
    open: async ({ info, objects }, ranges) => narObject(objects, info).openMany?.(ranges),
  };
}

/** Has what is read of a cache next tell: before the first delta, and in time for it. */
export function findOutRanges(objects: ObjectStore): void {
  if (hasLinks(objects)) objects.findOutRanges();
}

/** Whether a NAR is on the server of its cache. */
function isOnServer({ info, objects }: FoundPath): boolean {
  try {
    return narObject(objects, info).openMany !== undefined;
  } catch (error) {
    if (error instanceof CarportError) return false;
    throw error;
  }
}
