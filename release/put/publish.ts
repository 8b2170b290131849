/** Uploads the files of a put, tells of them in the fragment, and makes sure that all of it is there. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectMetadata, ObjectStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Emit } from '../../lib/work.js';
import type { Fragment } from '../documents/kinds.js';
import { fileKey, fragmentKey } from '../layout.js';
import { isPublished, lostRaces } from './compare.js';
import { readBelieved, writeFragment } from './fragment.js';
import { mediaTypeOf } from './media-type.js';
import { droppedNames, hasAll, hasAllFiles, mergeFragment, refuseAddition } from './merge.js';
import { refusePromotion, takeBackPruning } from './publisher.js';
import { entriesOf, type PutRequest, type PutWork, type ReadFile } from './request.js';

/** Files that were read, and where they are to be. */
export interface Publishing {
  readonly objects: ObjectStore;
  readonly request: PutRequest;
  /** The fragment that was there when the files were looked for. */
  readonly before: Fragment | undefined;
  readonly files: readonly ReadFile[];
  readonly work: PutWork;
}

/**
 * Uploads what is not there, then writes the fragment, and takes back that the version is to be deleted. Throws when
 * somebody else has published other bytes, promotes to the version or deletes it meanwhile.
 */
export async function publishFiles(publishing: Publishing): Promise<void> {
  const { objects, request, before, files, work } = publishing;
  const { emit } = work;
  const publisher = { ...request, objects, emit };
  await uploadFiles(publishing);
  const lost = new Set<ReadFile>();
  const write = () => writeMerged(publishing, lost);
  if (!hasAll(before, request, files)) await write();
  await refusePromotion(publisher, true);
  await takeBackPruning(publisher, write);
  await requireThere(objects, [fragmentKey(request.version, request.target), ...files.map(({ key }) => key)]);
  for (const { key } of lost) tellLostRace(key, request.replace, emit);
}

async function uploadFiles({ objects, request, files, work }: Publishing): Promise<void> {
  const { emit, signal } = work;
  const uploads = files.filter(({ state }) => state === 'uploaded');
  const bytes = uploads.reduce((sum, { size }) => sum + size, 0);
  emit({ type: 'started', verb: 'put', unit: 'files', items: uploads.length, bytes });
  for (const { key, name, size, copy, entry } of uploads) {
    signal.throwIfAborted();
    // Others may have been faster since it was looked for.
    await refusePromotion({ ...request, objects, emit }, true);
    if (!request.replace) await isPublished(objects, key, await readBelieved(objects, request), entry);
    emit({ type: 'item-started', name: key, size });
    await objects.put(key, { path: copy!, size }, metadataOf(name, request));
    emit({ type: 'progress', bytes: size });
    emit({ type: 'item-finished', name: key, size });
  }
}

/** Writes the fragment with the files; adds to `lost` those of which another job has published other bytes. */
async function writeMerged({ objects, request, before, files, work }: Publishing, lost: Set<ReadFile>): Promise<void> {
  const entries = entriesOf(files);
  await writeFragment(objects, {
    files: entries,
    keys: request.keys,
    pause: work.pause,
    read: () => readBelieved(objects, request),
    async merge(now) {
      if (!hasAllFiles(now, request, files)) refuseAddition(now, request);
      for (const file of await lostRaces(objects, { before, now }, files)) lost.add(file);
      for (const name of droppedNames(now, request, entries)) {
        const key = fileKey(request.version, request.target, name);
        const message = `\`${key}\` is of another commit: it is not on record any more`;
        work.emit({ type: 'warning', about: { key }, message });
      }
      return mergeFragment(now, request, entries);
    },
  });
}

function tellLostRace(key: string, replace: boolean, emit: Emit<ActivityEvent>): void {
  const message = `another job has published other bytes as \`${key}\` at the same time: these are there now`;
  if (!replace) {
    throw new CarportError('E_INTEGRITY', message, {
      hint: 'find out which of the two is right, and put that with `--replace`',
    });
  }
  emit({ type: 'warning', about: { key }, message });
}

/** Somebody may have removed it meanwhile. */
async function requireThere(objects: ObjectStore, keys: readonly string[]): Promise<void> {
  const found = await Promise.all(keys.map((key) => objects.stat(key)));
  const gone = keys.find((_, index) => found[index] === undefined);
  if (gone === undefined) return;
  throw new CarportError('E_UNAVAILABLE', `\`${gone}\` was removed at the same time`, { hint: 'run it again' });
}

function metadataOf(name: string, { contentType, cacheControl }: PutRequest): ObjectMetadata {
  return {
    contentType: contentType ?? mediaTypeOf(name),
    cacheControl,
    // Nobody's page is to run where the releases are.
    contentDisposition: `attachment; filename="${name}"`,
  };
}
