/** Makes a release of another, hidden until it is whole: the steps, in their order, and what stops them. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { asWritable, type ObjectStore, type WriteStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import { removeIntent } from '../intents.js';
import { hasBytes } from '../put/stored-hash.js';
import { type Candidate, candidateOf, filesOf, type ReleaseFile, yankOf } from '../sources/candidate.js';
import { type ReleaseSources, readSources, trusted } from '../sources/sources.js';
import { removeTombstones } from '../tombstones.js';
import { copyFile, writeFragments } from './copy.js';
import { discardPromotion, takeBack } from './discard.js';
import { refuseOtherIntent, requireIntent, writeOwnIntent } from './own-intent.js';
import { FILES_AT_ONCE, isFresh, type Made, type MakeRequest, type Making, type PromotedFile } from './request.js';
import { beingRemoved, faultOf, ofAnother, otherFiles, otherFragments } from './state.js';

/**
 * Makes a release of another: the same bytes, copied within the store. An intent hides it from the index until all of it is
 * there, was read again, and is signed; whoever is killed runs it again. Of two that make the same version of different
 * releases one stops: each looks for its own intent before it copies. Somebody who publishes files of the version himself
 * comes first: what was copied is taken back. Throws `E_INTEGRITY` when what was copied is not what was signed, and leaves
 * the intent. `emit` is told how far the copy is.
 */
export async function makeRelease(
  objects: ObjectStore,
  request: MakeRequest,
  emit: Emit<ActivityEvent>,
): Promise<readonly PromotedFile[]> {
  const { version, policy, discard } = request;
  const store = asWritable(objects, 'where nothing can be copied');
  if (discard) await discardPromotion(store, version, policy);
  else await refuseOtherIntent(store, request);
  const made: Made = { files: new Set(), fragments: new Set() };
  try {
    return await takeSteps({ store, request, made, emit });
  } catch (error) {
    if (isFinal(error)) await takeBack(store, request, made);
    throw error;
  }
}

async function takeSteps(making: Making): Promise<readonly PromotedFile[]> {
  const { store, request } = making;
  const { candidate, version, policy } = request;
  await writeOwnIntent(store, request);
  const there = await readSources(store, policy, version);
  await refuseOthers(store, request, there);
  await refuseChange(store, request);
  await removeTombstones(store, [version]);
  const files = filesOf(version, candidate.fragments);
  const states = await copyFiles(making, files);
  await writeFragments(making, trusted(there.fragments));
  await requireIntent(store, request);
  const whole = await readSources(store, policy, version);
  const [other] = otherFragments(candidate.version, whole);
  if (other) throw ofAnother(version, other.key);
  const fault = faultOf(candidate, version, whole);
  if (fault !== undefined) throw notWhole(version, fault);
  await removeIntent(store, version);
  return files.map((file, index) => ({ ...file, state: states[index]! }));
}

/** Copies what is not there yet, and tells how far it is; gives what has become of each file, in their order. */
function copyFiles(making: Making, files: readonly ReleaseFile[]): Promise<readonly PromotedFile['state'][]> {
  const { emit } = making;
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  emit({ type: 'started', verb: 'copy', unit: 'files', items: files.length, bytes });
  return mapAtMost(FILES_AT_ONCE, files, async (file) => {
    emit({ type: 'item-started', name: file.key, size: file.size });
    const state = await copyFile(making, file);
    emit({ type: 'item-finished', name: file.key, size: file.size });
    return state;
  });
}

/** Whether to run it again would not help: another release has the name, or the source is not what it was. */
function isFinal(error: unknown): boolean {
  return hasCode(error, 'E_USAGE', 'E_GATE', 'E_NOT_FOUND', 'E_SIGNATURE', 'E_UNSUPPORTED');
}

/** Somebody may have come before the intent was there. */
async function refuseOthers(store: WriteStore, request: MakeRequest, there: ReleaseSources): Promise<void> {
  await requireIntent(store, request);
  const { candidate, version } = request;
  if (there.prunings.some(({ value }) => value.deleting)) throw beingRemoved(version);
  const [fragment] = otherFragments(candidate.version, there);
  const files = otherFiles(candidate, version, there);
  const exchanged = isFresh(request) ? await otherBytes(store, candidate, version, there) : [];
  const other = fragment?.key ?? files[0] ?? exchanged[0];
  if (other === undefined) return;
  const hint = `if nobody else is at work there, run this again with \`--discard\`, which removes what is below \`${version}\``;
  throw ofAnother(version, other, isFresh(request) || fragment ? undefined : hint);
}

/** Gates may take hours. From here on nobody who looks for intents removes the source. */
async function refuseChange(store: WriteStore, { candidate, policy }: MakeRequest): Promise<void> {
  const { version, fragments } = candidate;
  const now = candidateOf(version, await readSources(store, policy, version));
  const yank = yankOf(now);
  const isSame = JSON.stringify(now.fragments) === JSON.stringify(fragments);
  if (yank === undefined && isSame) return;
  throw new CarportError('E_GATE', `\`${version}\` has changed since the gates were asked`, {
    cause: new Error(yank ?? 'something else is published of it'),
    hint: 'nothing was promoted: run it again, which asks them again',
  });
}

async function otherBytes(
  store: WriteStore,
  candidate: Candidate,
  version: string,
  sources: ReleaseSources,
): Promise<readonly string[]> {
  const there = new Set(sources.files.map(({ key }) => key));
  const files = filesOf(version, candidate.fragments).filter(({ key }) => there.has(key));
  const right = await mapAtMost(FILES_AT_ONCE, files, (file) => hasBytes(store, file.key, file));
  return files.filter((_, index) => !right[index]).map(({ key }) => key);
}

function notWhole(version: string, why: string): CarportError {
  return new CarportError('E_INTEGRITY', `\`${version}\` is not what it should be: ${why}`, {
    hint: 'somebody else writes there; it stays hidden: run this again',
  });
}
