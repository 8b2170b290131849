/** What the index shows that is published. */

import * as v from 'valibot';
import { hasCode } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { INDEX_JSON } from '../layout.js';

/** Bytes. Ten thousand releases have about twenty million. */
const LIMIT = 256 * 1024 * 1024;

/** All that is asked of it here. */
const Index = v.object({ releases: v.array(v.object({ version: v.string() })) });

/**
 * The versions that the published index shows; `undefined` when there is one that cannot be read. Where nothing was
 * published it shows none. Its signature is not asked: it only says what is not to be deleted yet.
 */
export async function readPublishedVersions(objects: ObjectStore): Promise<ReadonlySet<string> | undefined> {
  try {
    const bytes = await objects.read(INDEX_JSON, LIMIT);
    if (bytes === undefined) return new Set();
    const parsed = v.safeParse(Index, JSON.parse(bytes.toString('utf8')));
    return parsed.success ? new Set(parsed.output.releases.map(({ version }) => version)) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}
