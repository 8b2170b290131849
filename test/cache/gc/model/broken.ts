import { askLeases, listAgain, SWEEP_STEPS, type SweepStep, spareNeeded, withFinal } from '#cache/gc/sweep.js';
import { LEASES, narInfoKey } from '#cache/layout.js';
import { hashPartsIn } from '#cache/leases/documents.js';
import type { WriteStore } from '#lib/object-store/object-store.js';
import { GRACE_MS, type Protocol, PROTOCOL as WHOLE } from './run.js';

/** Pushes of the whole closure rely on most, so that what is wrong is found sooner. */
const PROTOCOL: Protocol = { ...WHOLE, atRoots: 0 };

const withSteps = (steps: readonly SweepStep[]): Protocol => ({
  ...PROTOCOL,
  sweeping: { ...PROTOCOL.sweeping, steps },
});
const replaced = (old: SweepStep, step: SweepStep) =>
  withSteps(SWEEP_STEPS.map((each) => (each === old ? step : each)));

/** Holds the lease back until something is to be written. */
function lateLease(store: WriteStore): WriteStore {
  let late: (() => Promise<void>) | undefined;
  let isWritten = false;
  return {
    ...store,
    async put(key, body, metadata) {
      if (key.startsWith(LEASES) && !isWritten) {
        late = () => store.put(key, body, metadata);
        return;
      }
      if (late && !isWritten) {
        isWritten = true;
        await late();
      }
      await store.put(key, body, metadata);
    },
  };
}

/** As if nothing had changed since the first listing. */
const noSecondListing: SweepStep = async (state) => {
  const { narInfos, nars, listings, belongings } = state.plan.survey;
  const all = ({ length }: { readonly length: number }) => new Uint8Array(length).fill(1);
  const look = { changed: [], sameNars: all(nars), sameListings: all(listings), sameBelongings: all(belongings) };
  return { ...state, look: { ...look, same: narInfos.vanished.map((isVanished) => 1 - isVanished) } };
};

/** Spares what leases, pins and young narinfos reach, and not what others reach that stay, too. */
const spareNotClosed: SweepStep = async (state, { objects }) => {
  const { survey, condemned } = state.plan;
  const now = (await objects.now()).getTime();
  const young: string[] = [];
  for (const { hashPart } of state.look!.changed) {
    const modified = (await objects.stat(narInfoKey(hashPart)))?.modified?.getTime() ?? 0;
    if (modified >= now - GRACE_MS) young.push(hashPart);
  }
  const look = { ...state.look!, changed: state.look!.changed.filter(({ hashPart }) => young.includes(hashPart)) };
  const narrow = await spareNeeded({ ...state, look }, { objects } as never);
  const hashParts = new Set(state.leases.flatMap((lease) => [...hashPartsIn(lease)]));
  const kept = condemned.narInfos.map((isCondemned, number) =>
    isCondemned && (narrow.final!.narInfos[number] || !hashParts.has(survey.narInfos.hashParts.at(number))) ? 1 : 0,
  );
  return withFinal(
    state,
    kept.map((goes, number) => (goes && narrow.final!.narInfos[number] ? 1 : 0)),
  );
};

/** Protocols that are wrong in one thing each. */
export const BROKEN: Readonly<Record<string, Protocol>> = {
  'the lease is written after the look': { ...PROTOCOL, storeOfPush: lateLease },
  'there is no second listing': replaced(listAgain, noSecondListing),
  'the second listing comes before the leases are read': withSteps(
    SWEEP_STEPS.flatMap((step) => (step === listAgain ? [] : step === askLeases ? [listAgain, askLeases] : [step])),
  ),
  'what is spared is not closed under what is not condemned': replaced(spareNeeded, spareNotClosed),
  'NARs are removed while a lease is live': replaced(askLeases, async (state, tools) => {
    const asked = await askLeases(state, tools);
    return { ...asked, mayRemoveNars: state.held!.value().removesNars };
  }),
  'a NAR is relied on while a sweep removes NARs': {
    ...PROTOCOL,
    leasing: {
      ...PROTOCOL.leasing,
      mustWaitFor: (sweep, hashParts) => PROTOCOL.leasing.mustWaitFor({ ...sweep, removesNars: false }, hashParts),
    },
  },
  'a push that ends at its roots waits for no sweep': {
    ...PROTOCOL,
    atRoots: 1,
    leasingAtRoots: { ...PROTOCOL.leasing, mustWaitFor: () => false },
  },
  'a push goes on when its lease is void': {
    ...PROTOCOL,
    leasing: { ...PROTOCOL.leasing, times: { ...PROTOCOL.leasing.times, trusted: Number.POSITIVE_INFINITY } },
  },
  'a sweep goes on when it is void': {
    ...PROTOCOL,
    sweeping: { ...PROTOCOL.sweeping, times: { ...PROTOCOL.sweeping.times, trusted: Number.POSITIVE_INFINITY } },
  },
};
