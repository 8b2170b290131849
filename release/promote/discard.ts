/** Takes back what a promotion has made. */

import { mapAtMost } from '../../lib/concurrency.js';
import { asWritable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { readIntent, removeIntent } from '../intents.js';
import { hasBytes } from '../put/stored-hash.js';
import { filesOf } from '../sources/candidate.js';
import { readSources } from '../sources/sources.js';
import { FILES_AT_ONCE, isFresh, type Made, type MakeRequest } from './request.js';
import { isFragmentKey, keysOfFragments, ofAnother, otherFragments } from './state.js';

/**
 * Removes what an unfinished promotion to a version has left, and its intent; says whether there was one, or one that was
 * `from` this release. Throws `E_USAGE` when somebody has published files of the version himself: these stay.
 */
export async function discardPromotion(
  objects: ObjectStore,
  version: string,
  policy: TrustPolicy,
  from?: string,
): Promise<boolean> {
  const store = asWritable(objects, 'where nothing can be copied');
  const intent = await readIntent(store, version, policy);
  if (intent.state !== 'trusted' || (from ?? intent.value.from) !== intent.value.from) return false;
  const there = await readSources(store, policy, version);
  const others = otherFragments(intent.value.from, there);
  const kept = new Set([...others.map(({ key }) => key), ...keysOfFragments(version, others)]);
  const fragments = [...there.fragments.map(({ key }) => key), ...there.damaged.filter(isFragmentKey)];
  await store.remove(fragments.filter((key) => !kept.has(key)));
  await store.remove(there.files.map(({ key }) => key).filter((key) => !kept.has(key)));
  await removeIntent(store, version);
  if (others[0]) throw ofAnother(version, others[0].key);
  return true;
}

/**
 * Frees the version: what was made of the candidate goes, then the intent, unless it is another's. What an earlier run has
 * made goes only where somebody else has published files: there the promotion cannot be finished any more.
 */
export async function takeBack(store: WriteStore, request: MakeRequest, made: Made): Promise<void> {
  const { candidate, version, policy } = request;
  const there = await readSources(store, policy, version);
  const others = otherFragments(candidate.version, there);
  const fresh = isFresh(request);
  if (!fresh && others.length === 0) return;
  const ours = there.fragments.filter(({ key, trusted }) => trusted && (!fresh || made.fragments.has(key)));
  await store.remove(ours.filter((found) => !others.includes(found)).map(({ key }) => key));
  const kept = new Set(keysOfFragments(version, others));
  const copies = filesOf(version, candidate.fragments).filter(
    ({ key }) => !kept.has(key) && (!fresh || made.files.has(key)),
  );
  const right = await mapAtMost(FILES_AT_ONCE, copies, (file) => hasBytes(store, file.key, file));
  await store.remove(copies.filter((_, index) => right[index]).map(({ key }) => key));
  const intent = await readIntent(store, version, policy);
  if (intent.state === 'trusted' && intent.value.from === candidate.version) await removeIntent(store, version);
}
