/** Servers that send several ranges in one answer: which do is found out once, with a small object. */

import { CarportError } from '../../lib/errors.js';
import { type ByteRange, hasLinks, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { FoundPath } from '../find-path.js';
import { CACHE_INFO_KEY } from '../layout.js';
import { narObject } from '../nars.js';

/** Ranges of one request: Apache takes no more than 200, and most servers 8 KB of header. */
export const MOST_TOGETHER = 192;

/** Two parts of the smallest object that each cache has; between them lies something, since neighbours may become one. */
const PROBE = [
  { offset: 0, length: 1 },
  { offset: 4, length: 1 },
] as const;

/** Asks each server once. */
export interface ManyRanges {
  /** Costs a request, the first time. */
  ask(objects: ObjectStore): Promise<boolean>;
  /** Requests that asking has cost so far. */
  asked(): number;
  /** What is known. */
  has(objects: ObjectStore): boolean;
  /** It does not, or not always. */
  giveUp(objects: ObjectStore): void;
  /** The bytes of ranges of a NAR, one after another, as of `openMany`. */
  open(found: FoundPath, ranges: readonly ByteRange[]): Promise<AsyncIterable<Uint8Array> | undefined>;
}

export function createManyRanges(): ManyRanges {
  const known = new WeakMap<ObjectStore, boolean>();
  const asked = new WeakMap<ObjectStore, Promise<boolean>>();
  let requests = 0;
  const find = async (objects: ObjectStore): Promise<boolean> => {
    if (hasLinks(objects) && objects.link(CACHE_INFO_KEY).openMany) requests++;
    const sends = await sendsMany(objects);
    if (!known.has(objects)) known.set(objects, sends);
    return known.get(objects)!;
  };
  return {
    async ask(objects) {
      const before = known.get(objects);
      if (before !== undefined) return before;
      const asking = asked.get(objects) ?? find(objects);
      asked.set(objects, asking);
      return asking;
    },
    asked: () => requests,
    has: (objects) => known.get(objects) ?? false,
    giveUp: (objects) => void known.set(objects, false),
    open: async ({ info, objects }, ranges) => narObject(objects, info).openMany?.(ranges),
  };
}

async function sendsMany(objects: ObjectStore): Promise<boolean> {
  if (!hasLinks(objects)) return false;
  try {
    const bytes = await objects.link(CACHE_INFO_KEY).openMany?.(PROBE);
    if (bytes === undefined) return false;
    for await (const _ of bytes);
    return true;
  } catch (error) {
    if (error instanceof CarportError && error.code !== 'E_INTERRUPTED') return false;
    throw error;
  }
}
