/** A put from its request to its end: what hinders it, what is read, and that no copy stays behind. */

import { rm } from 'node:fs/promises';
import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { fileKey } from '../layout.js';
import { isPublished } from './compare.js';
import { readBelieved } from './fragment.js';
import { readLocalFile, storePathOfFile } from './local-file.js';
import { hasAllFiles, refuseAddition, refuseMovedTag } from './merge.js';
import { readPackage } from './package.js';
import { publishFiles } from './publish.js';
import { refuseDeletion, refusePromotion } from './publisher.js';
import type { FileToPut, PutFile, PutRequest, PutWork, ReadFile } from './request.js';

/**
 * Publishes files of one target of a release: the files first, then the fragment that tells of them. Files that are there
 * with the same bytes are left alone; other bytes are refused before anything is uploaded. So the same request again does
 * what is left of one that was stopped, and nothing when all is done. At its end all of it is there, and nothing hides it
 * but what came later.
 */
export async function putRelease(
  objects: ObjectStore,
  request: PutRequest,
  work: PutWork,
): Promise<readonly PutFile[]> {
  const { emit, signal } = work;
  const publisher = { ...request, objects, emit };
  await refusePromotion(publisher, false);
  await refuseDeletion(publisher);
  const before = await readBelieved(objects, request, emit);
  refuseMovedTag(before, request);
  const copies: string[] = [];
  const files: ReadFile[] = [];
  emit({ type: 'started', verb: 'read', unit: 'files', items: request.files.length });
  try {
    for (const file of request.files) {
      signal.throwIfAborted();
      const spool = async () => {
        const copy = await objects.spoolName();
        copies.push(copy);
        return copy;
      };
      files.push(...(await readFile({ objects, request, before, work, spool }, file)));
      emit({ type: 'progress', items: 1 });
    }
    if (!hasAllFiles(before, request, files)) refuseAddition(before, request);
    if (!request.dryRun) await publishFiles({ objects, request, before, files, work });
  } finally {
    for (const copy of copies) await rm(copy, { force: true });
  }
  return files.map(({ name, key, size, sha256, state }) => ({ name, key, size, sha256, state }));
}

interface Reading {
  readonly objects: ObjectStore;
  readonly request: PutRequest;
  /** The fragment that was there. */
  readonly before: Fragment | undefined;
  readonly work: PutWork;
  /** A path for a copy, which is removed at the end. */
  spool(): Promise<string>;
}

/**
 * Reads a file, and finds out what is to be done with it, and with the metadata of a wheel. Throws when other bytes have its
 * place, and for a wheel or a source distribution that is not what it says.
 */
async function readFile(reading: Reading, { path, name }: FileToPut): Promise<readonly ReadFile[]> {
  const { request, work } = reading;
  const onBytes = (bytes: number) => work.emit({ type: 'progress', bytes });
  const copy = request.dryRun ? undefined : await reading.spool();
  const digest = await readLocalFile(path, { onBytes, ...(copy !== undefined && { copy }) });
  if (digest.size === 0) {
    throw new CarportError('E_USAGE', `\`${path}\` is empty`, {
      hint: 'check what has made it: an empty file is no build',
    });
  }
  const storePath = (await storePathOfFile(path)) ?? null;
  const found = await readPackage(copy ?? path, name, { ...request, ...reading });
  const entry = { name, ...digest, storePath, ...(found.facts && { python: found.facts }) };
  const read = [await compared(reading, entry, copy)];
  const { metadata } = found;
  if (metadata)
    read.push(await compared(reading, { ...metadata.digest, name: metadata.name, storePath }, metadata.copy));
  return read;
}

/** What is to be done with a file that was read. */
async function compared(
  { objects, request, before }: Reading,
  entry: FragmentFile,
  copy: string | undefined,
): Promise<ReadFile> {
  const { name, size, sha256 } = entry;
  const { version, target, replace } = request;
  const key = fileKey(version, target, name);
  const isThere = !replace && (await isPublished(objects, key, before, entry));
  const state = isThere ? 'unchanged' : 'uploaded';
  return { name, key, size, sha256, state, entry, ...(copy !== undefined && { copy }) };
}
