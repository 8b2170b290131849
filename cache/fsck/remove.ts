/** Removes what cannot be mended, by the protocol of garbage collections: pushes that are under way lose nothing. */

import { asWritable, type ObjectStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import type { FinalSet } from '../gc/final-set.js';
import type { GcPlan } from '../gc/plan.js';
import { SWEEPING } from '../gc/session.js';
import type { Survey } from '../gc/survey.js';
import { sweep } from '../gc/sweep.js';
import { listingKey, narInfoKey } from '../layout.js';
import type { HoldTimes } from '../leases/hold.js';
import type { Doom } from './doomed.js';
import type { FsckReport } from './finding.js';

/** How it is done; tests wait less. */
export interface Removing {
  readonly times: HoldTimes;
  /** A NAR that no narinfo names has been there for so many milliseconds, at least, before it goes: Nix writes its narinfo next. */
  readonly settle: number;
  readonly patience: number;
  readonly poll: number;
}

/** As it ships. */
export const REMOVING: Removing = {
  times: SWEEPING.times,
  settle: 15_000,
  patience: SWEEPING.patience,
  poll: SWEEPING.poll,
};

/** Sweeps what was planned, and tells each thing that has gone; gives how many have. */
export async function removeBroken(
  objects: ObjectStore,
  plan: GcPlan,
  doom: Doom,
  { report, removing, ...work }: Work<ActivityEvent> & { readonly report: FsckReport; readonly removing: Removing },
): Promise<number> {
  const { condemned, survey } = plan;
  const { nars, belongings, listings } = condemned;
  const paths = condemned.narInfos.reduce((sum, one) => sum + one, 0);
  const total = paths + nars.length + belongings.length + listings.length;
  if (total === 0) return 0;
  const store = asWritable(objects, 'where nothing can be removed');
  const { clock, identity, steps } = SWEEPING;
  await clock.sleep(removing.settle - (survey.time - newestOf(plan)), work.signal);
  work.emit({ type: 'started', verb: 'remove', unit: 'objects', items: total });
  const { times, patience, poll } = removing;
  // Pins keep nothing that is broken; pushes that are under way do, and so does what was written meanwhile.
  const readRoots = async () => [];
  const tools = { ...work, objects: store, clock, identity, times, patience, poll, readRoots };
  const { final, removed } = await sweep(plan, tools, steps);
  for (const one of goneOf(survey, final!, doom)) report.repaired({ did: 'removed', ...one });
  const left = paths - removed.paths + (nars.length - final!.nars.length);
  if (left > 0) {
    const message = `${left} of what was to go stay: a push that is under way names it, or it has changed meanwhile; run it again`;
    work.emit({ type: 'warning', message });
  }
  return removed.objects;
}

function newestOf({ survey: { nars }, condemned }: GcPlan): number {
  return condemned.nars.reduce((newest, number) => Math.max(newest, nars.modified[number]!), 0);
}

function* goneOf(survey: Survey, final: FinalSet, { why }: Doom) {
  const { narInfos, listings, belongings, nars, storeDir } = survey;
  for (const [number, goes] of final.narInfos.entries()) {
    if (!goes) continue;
    const [hashPart, name] = [narInfos.hashParts.at(number), narInfos.names.at(number)];
    const path = name === '' ? undefined : `${storeDir}/${hashPart}-${name}`;
    yield { key: narInfoKey(hashPart), ...(path !== undefined && { path }), message: why.get(number) ?? '' };
  }
  for (const number of final.listings) {
    yield { key: listingKey(listings.hashParts.at(number)), message: 'its path has gone' };
  }
  for (const number of final.belongings) {
    yield { key: belongings.keys.at(number), message: 'what it is about is not there, or it cannot be read' };
  }
  for (const number of final.nars) yield { key: nars.keys.at(number), message: 'no narinfo names it' };
}
