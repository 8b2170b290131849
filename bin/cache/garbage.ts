/** What goes of a cache, in words and as JSON: each thing, its size, and why. */

import type { Condemned, GcPlan } from '../../cache/gc/plan.js';
import { listingKey } from '../../cache/layout.js';
import { formatBytes } from '../cli/terminal.js';

interface Garbage {
  /** A store path, or the key of what is none. */
  readonly path?: string;
  readonly key?: string;
  readonly bytes: number;
  readonly modified: string;
  readonly reason: string;
}

const NEEDLESS = 'nothing needs it';
const NAMELESS = 'no narinfo names it';
const OWNERLESS = 'its path goes, or has gone';

/** Paths first, then NARs, then what belonged to paths. */
function* garbageOf({ survey }: GcPlan, gone: Condemned): Generator<Garbage> {
  const { narInfos, nars, listings, belongings, storeDir } = survey;
  const dateOf = (time: number) => new Date(time).toISOString();
  for (let number = 0; number < narInfos.length; number++) {
    if (!gone.narInfos[number]) continue;
    const nar = narInfos.nar[number]!;
    yield {
      path: `${storeDir}/${narInfos.hashParts.at(number)}-${narInfos.names.at(number)}`,
      bytes: narInfos.size[number]! + (nar < 0 ? 0 : nars.size[nar]!),
      modified: dateOf(narInfos.modified[number]!),
      reason: NEEDLESS,
    };
  }
  for (const number of gone.nars) {
    const modified = dateOf(nars.modified[number]!);
    yield { key: nars.keys.at(number), bytes: nars.size[number]!, modified, reason: NAMELESS };
  }
  for (const number of gone.listings) {
    const key = listingKey(listings.hashParts.at(number));
    yield { key, bytes: listings.size[number]!, modified: dateOf(listings.modified[number]!), reason: OWNERLESS };
  }
  for (const number of gone.belongings) {
    const modified = dateOf(belongings.modified[number]!);
    yield { key: belongings.keys.at(number), bytes: belongings.size[number]!, modified, reason: OWNERLESS };
  }
}

/** A line for each: what it is, its size, since when it is there, and why it goes. */
export function* garbageLines(plan: GcPlan, gone: Condemned): Generator<string> {
  for (const { path, key, bytes, modified, reason } of garbageOf(plan, gone)) {
    yield `remove ${path ?? key}  ${formatBytes(bytes)}  ${modified.slice(0, 10)}  ${reason}`;
  }
}

/** The same for programs. */
export function garbageJson(plan: GcPlan, gone: Condemned) {
  return { garbage: [...garbageOf(plan, gone)] };
}
