/** What a sweep removes in the end: of what was condemned, what nobody needs by now. Pure. */

import type { GcPlan } from './plan.js';
import type { SecondLook } from './second-look.js';

/** Numbers of what goes. */
export interface FinalSet {
  /** 1 for each narinfo that goes. */
  readonly narInfos: Uint8Array;
  readonly listings: Int32Array;
  readonly belongings: Int32Array;
  readonly nars: Int32Array;
}

/** What is known when it is decided. */
export interface Decision {
  /** 1 for each condemned narinfo that nothing needs. */
  readonly narInfos: Uint8Array;
  readonly look: SecondLook;
  /** Hash parts that pushes under way name. */
  readonly leased: ReadonlySet<string>;
  readonly mayRemoveNars: boolean;
}

/** Decides what goes: only what is there as it was when it was condemned. */
export function finalOf(plan: GcPlan, { narInfos: needless, look, leased, mayRemoveNars }: Decision): FinalSet {
  const { survey, condemned } = plan;
  const narInfos = needless.map((goes, number) => (goes && look.same[number] ? 1 : 0));
  const changed = new Set(look.changed.map(({ hashPart }) => hashPart));
  const deriversOfChanged = new Set(look.changed.flatMap(({ facts }) => facts.deriver ?? []));
  const isBack = (hashPart: string) => changed.has(hashPart) || deriversOfChanged.has(hashPart) || leased.has(hashPart);
  const stays = (owner: number) => owner >= 0 && condemned.narInfos[owner] === 1 && narInfos[owner] === 0;
  const usedNars = new Set(look.changed.map(({ facts }) => survey.nars.keys.find(facts.narKey)));
  return {
    narInfos,
    listings: condemned.listings.filter((number) => {
      const hashPart = survey.listings.hashParts.at(number);
      const owner = survey.narInfos.hashParts.find(hashPart);
      if (!look.sameListings[number] || changed.has(hashPart) || leased.has(hashPart)) return false;
      return owner < 0 || narInfos[owner] === 1;
    }),
    belongings: belongingsOf(plan, look, stays, isBack),
    nars: mayRemoveNars
      ? condemned.nars.filter((number) => look.sameNars[number] === 1 && !usedNars.has(number))
      : new Int32Array(0),
  };
}

/** What belongs to a path that was spared, or has come back, stays with it. */
function belongingsOf(
  { survey, condemned }: GcPlan,
  look: SecondLook,
  stays: (narInfo: number) => boolean,
  isBack: (hashPart: string) => boolean,
): Int32Array {
  if (condemned.belongings.length === 0) return condemned.belongings;
  const { belongings, narInfos } = survey;
  const spared = new Uint8Array(belongings.length);
  const { owners, narOwners } = belongings;
  for (let at = 0; at < owners.length; at += 2) if (stays(owners[at]!)) spared[owners[at + 1]!] = 1;
  for (const [number, hashPart] of belongings.strays) if (isBack(hashPart)) spared[number] = 1;
  const sparedNars = new Set<number>();
  for (let number = 0; number < narInfos.length; number++) if (stays(number)) sparedNars.add(narInfos.nar[number]!);
  for (let at = 0; at < narOwners.length; at += 2) if (sparedNars.has(narOwners[at]!)) spared[narOwners[at + 1]!] = 1;
  return condemned.belongings.filter((number) => look.sameBelongings[number] === 1 && !spared[number]);
}
