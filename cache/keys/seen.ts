/** How new the statements of keys were that this machine has seen, so that an older one that is put back is noticed. */

import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { SeenTimes } from '../pins/seen.js';
import type { Statement } from './statement.js';

/** When the newest statement of a key was signed that was seen at an address. */
export function newestSeen(seen: SeenTimes, key: string, address: string): Promise<string | undefined> {
  return seen.newest([placeOf(key, address)]);
}

/** Notes statements of a cache. That it fails is told, and nothing else. */
export async function noteStatements(
  seen: SeenTimes,
  statements: readonly Pick<Statement, 'key' | 'updatedAt'>[],
  { objects, address }: { readonly objects: Pick<ObjectStore, 'url'>; readonly address: string },
  emit: Emit<WarningEvent>,
): Promise<void> {
  for (const { key, updatedAt } of statements) {
    await seen.note([placeOf(key, address)], updatedAt).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      const message = `it cannot be noted how new the keys of \`${objects.url}\` are, so older ones will not be noticed: ${why}`;
      emit({ type: 'warning', message });
    });
  }
}

function placeOf(key: string, address: string): string {
  return `key ${key} in ${address}`;
}
