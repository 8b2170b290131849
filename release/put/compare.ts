/** What a file of this machine is beside what is published under its key. */

import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Fragment, FragmentFile } from '../documents/kinds.js';
import { isSameFile } from './fragment.js';
import type { FileDigest } from './local-file.js';
import { recordOf } from './merge.js';
import type { ReadFile } from './request.js';
import { digestOfObject } from './stored-hash.js';

/** What is at a key already. */
type Comparison =
  | { readonly state: 'absent' | 'same' }
  | { readonly state: 'other'; readonly there: { readonly size: number; readonly sha256?: string } };

/** Whether these very bytes are there. Throws `E_INTEGRITY` when others are. */
export async function isPublished(
  objects: ObjectStore,
  key: string,
  fragment: Fragment | undefined,
  entry: FragmentFile,
): Promise<boolean> {
  const found = await compare(objects, key, recordOf(fragment, entry.name), entry);
  if (found.state === 'other') throw otherBytes(key, found.there, entry);
  return found.state === 'same';
}

/** What is on record is believed but for the size. */
async function compare(
  objects: ObjectStore,
  key: string,
  recorded: FragmentFile | undefined,
  file: FragmentFile,
): Promise<Comparison> {
  if (recorded && !isSameFile(recorded, file)) return { state: 'other', there: recorded };
  const size = (await objects.stat(key))?.size;
  if (size === undefined) return { state: 'absent' };
  if (recorded) return { state: size === file.size ? 'same' : 'absent' };
  if (size !== file.size) return { state: 'other', there: { size } };
  const found = await digestOfObject(objects, key);
  if (!found) return { state: 'absent' };
  return found.sha256 === file.sha256 ? { state: 'same' } : { state: 'other', there: found };
}

/** The fragment before something was uploaded, and the one that is there now. */
export interface FragmentChange {
  readonly before: Fragment | undefined;
  readonly now: Fragment | undefined;
}

/**
 * Files that another job has published with other bytes since they were looked for, and whose objects are those of this
 * one: what is on record must be what is there. Throws `E_INTEGRITY` when the other's are there.
 */
export async function lostRaces(
  objects: ObjectStore,
  { before, now }: FragmentChange,
  files: readonly ReadFile[],
): Promise<readonly ReadFile[]> {
  const lost: ReadFile[] = [];
  for (const file of files) {
    const { key, entry } = file;
    const old = recordOf(before, entry.name);
    const recorded = recordOf(now, entry.name);
    if (!recorded || isSameFile(recorded, entry) || (old && isSameFile(old, recorded))) continue;
    const found = await digestOfObject(objects, key);
    if (found?.sha256 !== entry.sha256) throw otherBytes(key, recorded, entry);
    lost.push(file);
  }
  return lost;
}

function otherBytes(
  key: string,
  there: { readonly size: number; readonly sha256?: string },
  { sha256, size }: FileDigest,
): CarportError {
  const was = there.sha256 === undefined ? '' : `sha256 ${there.sha256}, `;
  return new CarportError('E_INTEGRITY', `\`${key}\` is published with other bytes`, {
    cause: new Error(`published: ${was}${there.size} bytes; this file: sha256 ${sha256}, ${size} bytes`),
    hint: 'what is published does not change: take another version, or put these in their place with `--replace`',
  });
}
