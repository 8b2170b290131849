/** The intent of a promotion while it is under way: written first, looked for before each step. */

import type { WriteStore } from '../../lib/object-store/object-store.js';
import { toReleaseTime } from '../documents/kinds.js';
import { readIntent, writeIntent } from '../intents.js';
import { readSources } from '../sources/sources.js';
import type { MakeRequest } from './request.js';
import { faultOf, taken } from './state.js';

/** Says that the version is being made of the candidate. */
export async function writeOwnIntent(store: WriteStore, { candidate, version, keys, now }: MakeRequest): Promise<void> {
  await writeIntent(store, { version, from: candidate.version, time: toReleaseTime(now) }, keys);
}

/** Throws `E_USAGE` where another promotion has written its own intent in the meantime; says whether there is one. */
export async function refuseOtherIntent(
  store: WriteStore,
  { candidate, version, policy }: MakeRequest,
): Promise<boolean> {
  const intent = await readIntent(store, version, policy);
  if (intent.state !== 'trusted') return false;
  if (intent.value.from === candidate.version) return true;
  throw taken(version, `it is being made of \`${intent.value.from}\` at this moment`);
}

/**
 * Looks for its own intent. Where there is none any more, another run has finished the same promotion; or one that could not
 * know of this one has written its own, and has taken that back.
 */
export async function requireIntent(store: WriteStore, request: MakeRequest): Promise<void> {
  const { candidate, version, policy } = request;
  if (await refuseOtherIntent(store, request)) return;
  const isDone = faultOf(candidate, version, await readSources(store, policy, version)) === undefined;
  if (!isDone) await writeOwnIntent(store, request);
}
