/** Makes listings again that are damaged, or of another NAR. */

import { mapAtMost } from '../../lib/concurrency.js';
import { asWritable } from '../../lib/object-store/object-store.js';
import { writeListing } from '../binary-cache.js';
import { listingKey } from '../layout.js';
import { checkNar } from '../verify/checked-nar.js';
import type { Finding } from './finding.js';
import { readAnyNarInfo } from './look/narinfo.js';
import { type MendTools, reasonOf } from './mend-path.js';

/** NARs that are read at a time. */
const AT_ONCE = 4;

/** Makes listings again of NARs that are as they should be; those of others go, too. */
export async function mendListings(findings: readonly Finding[], tools: MendTools): Promise<void> {
  const { objects, pool, report, signal } = tools;
  await mapAtMost(
    AT_ONCE,
    findings,
    async ({ key }) => {
      const hashPart = key.slice(0, 32);
      const read = await readAnyNarInfo(objects, hashPart);
      if (read.state !== 'read' || listingKey(hashPart) !== key) return;
      const { path } = read.info;
      try {
        const { listing } = await checkNar(objects, read.info, pool, { listing: true });
        await writeListing(objects, hashPart, listing!);
        report.repaired({ did: 'mended', key, path, message: 'made again from its NAR' });
      } catch (error) {
        // It is for looking only: nobody misses one.
        await asWritable(objects, 'where nothing can be removed').remove([key]);
        report.repaired({ did: 'removed', key, path, message: `it cannot be made again: ${reasonOf(error)}` });
      }
    },
    signal,
  );
}
