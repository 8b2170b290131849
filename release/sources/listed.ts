/** What a store lists of releases, before any document is read. */

import { createHash } from 'node:crypto';
import { type ListedObject, listObjects, type ObjectStore } from '../../lib/object-store/object-store.js';
import { toReleaseTime } from '../documents/kinds.js';
import { FILES, FRAGMENTS, PROMOTIONS, PRUNINGS, versionKey, YANKS } from '../layout.js';

/** An object below `_releases/`. Its key may be anything. */
export interface ListedFile {
  readonly key: string;
  /** Bytes. */
  readonly size: number;
  /** When it was last written: RFC 3339 in UTC, to the second. A second upload of the same bytes moves it. */
  readonly time: string;
}

/** What a store lists of releases, before any document is read. */
export interface SourceListing {
  readonly files: readonly ListedFile[];
  readonly fragments: readonly ListedDocument[];
  readonly yanks: readonly ListedDocument[];
  readonly promotions: readonly ListedDocument[];
  readonly prunings: readonly ListedDocument[];
  /** The same as that of another listing when both list the same writes; the same bytes written again are another. */
  readonly state: string;
}

export interface ListedDocument {
  readonly key: string;
  /** Another one when the document has another content; empty when it was not listed. */
  readonly versionTag: string;
}

/** Lists the sources of all releases, or of one version. */
export async function listSources(objects: ObjectStore, version: string | undefined): Promise<SourceListing> {
  const below = (directory: string) => listAll(objects, version === undefined ? directory : `${directory}${version}/`);
  const about = async (directory: string): Promise<readonly ListedKey[]> =>
    version === undefined ? listAll(objects, directory) : [{ key: versionKey(directory, version) }];
  const all = await Promise.all([below(FILES), below(FRAGMENTS), about(YANKS), about(PROMOTIONS), about(PRUNINGS)]);
  const state = createHash('sha256');
  for (const each of all.flat() satisfies readonly ListedKey[]) {
    state.update(`${each.key}\n${each.modified?.getTime()} ${versionTagOf(each)}\n`);
  }
  const [files, fragments, yanks, promotions, prunings] = all;
  return {
    files: files.map(({ key, size, modified }) => ({ key, size, time: toReleaseTime(modified) })),
    fragments: fragments.map(toDocument),
    yanks: yanks.map(toDocument),
    promotions: promotions.map(toDocument),
    prunings: prunings.map(toDocument),
    state: state.digest('hex'),
  };
}

function toDocument(listed: ListedKey): ListedDocument {
  return { key: listed.key, versionTag: versionTagOf(listed) };
}

async function listAll(objects: ObjectStore, prefix: string): Promise<readonly ListedObject[]> {
  const listed: ListedObject[] = [];
  for await (const each of listObjects(objects, { prefix, recursive: true })) listed.push(each);
  return listed.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/** With the key alone where it was not looked for. */
type ListedKey = Pick<ListedObject, 'key'> & Partial<ListedObject>;

/** Of an object that was listed: another one when it has another content. */
export function versionTagOf({ size, modified, md5 }: Partial<ListedObject>): string {
  return modified === undefined ? '' : `${size} ${md5 ?? modified.getTime()}`;
}
