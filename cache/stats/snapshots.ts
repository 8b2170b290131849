/** Snapshots of what a cache holds, one a day, in the cache itself: they tell how it has grown. */

import * as v from 'valibot';
import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import { documentKey, listDocumentNames } from '../../lib/object-store/documents.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { parseStrictJson } from '../../lib/strict-json.js';
import { STATS } from '../layout.js';
import type { CacheStats } from './stats.js';

/** What a cache held on a day. */
export interface Snapshot {
  /** By the store's clock, as `Date.toISOString` gives it. */
  readonly time: string;
  readonly objects: number;
  readonly bytes: number;
  readonly paths: number;
  readonly narSize: number;
}

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const SHAPE = v.strictObject({
  version: v.literal(1),
  time: v.pipe(v.string(), v.isoTimestamp()),
  ...{ objects: Count, bytes: Count, paths: Count, narSize: Count },
});

const LIMIT = 64 * 1024;
const AT_ONCE = 32;

/** Snapshots that are read: those of the last three years, if there is one each day. */
const MOST = 1100;

/** Keeps what the cache holds now, in place of what was kept on the same day. Nothing depends on it, so that nobody signs it. */
export async function keepSnapshot(objects: ObjectStore, stats: CacheStats): Promise<void> {
  const { time, bytes, paths, narSize } = stats;
  const text = `${JSON.stringify({ version: 1, time, objects: stats.objects, bytes, paths, narSize })}\n`;
  const metadata = { contentType: 'application/json', cacheControl: 'no-cache' };
  await objects.put(documentKey(STATS, time.slice(0, 10)), Buffer.from(text), metadata);
}

/** Whether a text is what `keepSnapshot` writes. */
export function isSnapshot(text: string): boolean {
  try {
    parseStrictJson('snapshot of a cache', text, SHAPE);
    return true;
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return false;
    throw error;
  }
}

/** The snapshots that a cache has, the oldest first. What is none is passed over: anybody who may write may have put it there. */
export async function readSnapshots(objects: ObjectStore): Promise<readonly Snapshot[]> {
  const names = (await listDocumentNames(objects, STATS)).slice(-MOST);
  const read = await mapAtMost(AT_ONCE, names, async (name) => {
    const bytes = await objects.read(documentKey(STATS, name), LIMIT);
    try {
      return bytes && parseStrictJson('snapshot of a cache', bytes.toString('utf8'), SHAPE);
    } catch (error) {
      if (hasCode(error, 'E_FORMAT')) return undefined;
      throw error;
    }
  });
  const snapshots = read.filter((one) => one !== undefined).map(({ version: _, ...snapshot }) => snapshot);
  return snapshots.sort((a, b) => (a.time < b.time ? -1 : 1));
}
