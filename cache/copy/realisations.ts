/** The realisations of copied paths: without them Nix does not find in the other cache what content-addressed derivations have made. */

import { mapAtMost } from '../../lib/concurrency.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { outputOfRealisation, tracedOutputOf } from '../../lib/nix/realisation.js';
import { storeDirOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { FoundRealisation } from '../../lib/store/realisations.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { readTrace } from '../realisations/objects.js';
import { realisationsOfPulled } from '../realisations/pulled.js';

/** Realisations that are read at a time. */
const AT_ONCE = 64;

/** Those of paths in a cache that are trusted, by path. */
export async function readRealisations(
  objects: ObjectStore,
  infos: readonly NarInfo[],
  trust: TrustPolicy,
  emit: Emit<WarningEvent>,
): Promise<ReadonlyMap<string, readonly FoundRealisation[]>> {
  const fetched = infos.map((info) => ({ info, objects }));
  const byPath = new Map(infos.map((info) => [info.path, info]));
  const found = await mapAtMost(AT_ONCE, await realisationsOfPulled(fetched, trust, emit), async (realisation) => {
    const { id, outPath } = realisation;
    const traced = tracedOutputOf(byPath.get(outPath)!, outputOfRealisation(id));
    const trace = traced && (await readTrace(objects, traced, storeDirOf(outPath)));
    const traceSignatures = trace?.outPath === outPath ? trace.signatures : [];
    return trace === undefined ? realisation : { ...realisation, traced, traceSignatures };
  });
  const grouped = new Map<string, FoundRealisation[]>();
  for (const each of found) grouped.set(each.outPath, [...(grouped.get(each.outPath) ?? []), each]);
  return grouped;
}
