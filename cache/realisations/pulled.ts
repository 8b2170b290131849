/** Finds the realisations of pulled paths, for a store that keeps them: whoever evaluates their derivation finds them there then. */

import { createLimit } from '../../lib/concurrency.js';
import { CarportError } from '../../lib/errors.js';
import { type Realisation, realisationFingerprint } from '../../lib/nix/realisation.js';
import { storeDirOf } from '../../lib/nix/store-path.js';
import { isListable, type ObjectStore } from '../../lib/object-store/object-store.js';
import { verifyText } from '../../lib/signing/signature.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import type { FoundPath } from '../find-path.js';
import { type ReaderTrust, trustNow } from '../keys/follow.js';
import { REALISATIONS, realisationIdOfKey } from '../layout.js';
import { readRealisation, realisationIdsOf } from './objects.js';

/** Realisations that are read at a time. */
const AT_ONCE = 64;

/** Realisations of a cache that are looked through for those of paths whose narinfos tell none. */
const MOST_LOOKED_THROUGH = 1000;

/**
 * The realisations that caches have of paths that were fetched from them, as far as `trust` accepts them. They make nothing
 * wrong where they are missing: what cannot be read, or is not signed, is left out with a warning.
 */
export async function realisationsOfPulled(
  fetched: readonly FoundPath[],
  trust: ReaderTrust,
  emit: Emit<WarningEvent>,
): Promise<readonly Realisation[]> {
  const limit = createLimit(AT_ONCE);
  const paths = new Set(fetched.map(({ info }) => info.path));
  const found = await Promise.all(
    [...groupByCache(fetched)].map(async ([objects, told]) => {
      const ids = await idsIn(objects, told);
      const read = await Promise.allSettled(ids.map((id) => limit(() => readPulled(objects, id, paths, trust))));
      const refusals = read.flatMap((result): unknown[] => (result.status === 'rejected' ? [result.reason] : []));
      warnOf(refusals, emit);
      return read.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []));
    }),
  );
  return [...new Map(found.flat().map((each) => [each.id, each])).values()];
}

/** A realisation of one of the paths; throws what is wrong with it. */
async function readPulled(
  objects: ObjectStore,
  id: string,
  paths: ReadonlySet<string>,
  trust: ReaderTrust,
): Promise<Realisation | undefined> {
  const [first = ''] = paths;
  const realisation = await readRealisation(objects, id, storeDirOf(first));
  if (realisation === undefined || !paths.has(realisation.outPath)) return undefined;
  const { state } = verifyText(
    realisationFingerprint(realisation),
    realisation.signatures,
    trustNow(trust, objects).keys,
  );
  if (state === 'valid' || (state === 'unsigned' && trust.allowUnsigned)) return realisation;
  const why = state === 'invalid' ? 'is wrongly signed' : 'is not signed by a trusted key';
  throw new CarportError(
    'E_SIGNATURE',
    `the realisation \`${id}\` of \`${realisation.outPath}\` in \`${objects.url}\` ${why}`,
  );
}

/** One warning for all of a cache: where one is not signed, mostly none is. */
function warnOf(refusals: readonly unknown[], emit: Emit<WarningEvent>): void {
  const [first] = refusals;
  if (first === undefined) return;
  const strange = refusals.find((refusal) => !(refusal instanceof CarportError));
  if (strange !== undefined) throw strange;
  const others = refusals.length - 1;
  const more = others > 0 ? `, and ${others} other${others === 1 ? '' : 's'}` : '';
  emit({ type: 'warning', message: `${(first as CarportError).message}, and is left out${more}` });
}

/** What the narinfos of one cache tell. */
interface TheirIds {
  readonly told: Set<string>;
  /** Whether there is a path that may have a realisation, and tells none. */
  isUntold: boolean;
}

function groupByCache(fetched: readonly FoundPath[]): ReadonlyMap<ObjectStore, TheirIds> {
  const groups = new Map<ObjectStore, TheirIds>();
  for (const { info, objects } of fetched) {
    const group = groups.get(objects) ?? { told: new Set(), isUntold: false };
    groups.set(objects, group);
    const ids = realisationIdsOf(info);
    for (const id of ids) group.told.add(id);
    if (ids.length === 0 && info.ca?.startsWith('fixed:') && info.deriver !== undefined) group.isUntold = true;
  }
  return groups;
}

/** A cache that Nix has written tells nothing in its narinfos: where it can be listed it is looked through. */
async function idsIn(objects: ObjectStore, { told, isUntold }: TheirIds): Promise<readonly string[]> {
  const ids = new Set(told);
  if (!isUntold || !isListable(objects)) return [...ids];
  for await (const { key } of objects.list({ prefix: REALISATIONS })) {
    if (ids.size >= MOST_LOOKED_THROUGH) break;
    const id = realisationIdOfKey(key);
    if (id !== undefined) ids.add(id);
  }
  return [...ids];
}
