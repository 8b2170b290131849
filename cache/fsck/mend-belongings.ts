/** Takes realisations and debugging information that are damaged from another cache. */

import { mapAtMost } from '../../lib/concurrency.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Finding, FsckReport } from './finding.js';
import { BELONGING_LIMIT, readBelonging } from './look/belongings.js';

/** Objects that are taken at a time. */
const AT_ONCE = 32;

/** Takes what the other cache has rightly; gives the keys. What they are about is looked for in the next look. */
export async function mendBelongings(
  findings: readonly Finding[],
  { objects, from, storeDir, report, signal }: BelongingTools,
): Promise<ReadonlySet<string>> {
  const mended = new Set<string>();
  if (from === undefined) return mended;
  const damaged = findings.filter(({ kind }) => kind === 'realisation-damaged' || kind === 'debug-damaged');
  await mapAtMost(
    AT_ONCE,
    damaged,
    async ({ key }) => {
      const { kind } = await readBelonging(from, key, storeDir);
      const bytes = kind === 'path' || kind === 'contents' ? await from.read(key, BELONGING_LIMIT) : undefined;
      if (bytes === undefined) return;
      await objects.put(key, bytes, { contentType: 'application/json', cacheControl: 'max-age=300' });
      mended.add(key);
      report.repaired({ did: 'mended', key, message: `taken from \`${from.url}\`` });
    },
    signal,
  );
  return mended;
}

/** Where from, and where to. */
interface BelongingTools {
  readonly objects: ObjectStore;
  readonly from: ObjectStore | undefined;
  readonly storeDir: string;
  readonly report: FsckReport;
  readonly signal: AbortSignal;
}
