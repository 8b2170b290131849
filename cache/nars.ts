/** Where NARs are, and whether they are there, by their sizes. */

import { CarportError, insteadOf } from '../lib/errors.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { printableLink } from '../lib/object-store/link.js';
import {
  type ByteRange,
  hasLinks,
  isListable,
  type LinkedObject,
  listObjects,
  type ObjectStore,
  type StoredObject,
} from '../lib/object-store/object-store.js';
import { NARS, narKey } from './layout.js';

/** The file of a NAR, as a narinfo names it. */
export interface NarObject extends LinkedObject {
  /** Absent on a web server, where it is named by a link. */
  readonly key?: string;
}

/**
 * The NAR that a narinfo points to. Nobody signs its URL. On a web server it is a link, which may lead to another one; in a
 * directory or a bucket it is a key, and lies inside the cache.
 */
export function narObject(objects: ObjectStore, info: NarInfo): NarObject {
  try {
    if (hasLinks(objects)) return objects.link(info.url);
    const key = narKey(info);
    return {
      key,
      read: (limit) => objects.read(key, limit),
      stat: () => objects.stat(key),
      open: (range) => objects.open(key, range),
    };
  } catch (cause) {
    throw new CarportError('E_FORMAT', `the NAR of \`${info.path}\` in \`${objects.url}\` is not looked for`, {
      cause,
      hint: hasLinks(objects)
        ? 'its narinfo names it so, and nobody has signed that: ask who runs the cache, or use another one'
        : 'a narinfo of such a cache names a file in it; one on another server is taken from `https://` caches only',
    });
  }
}

/** The file of this machine that is the NAR, if it is one. */
export function localNar(objects: ObjectStore, info: NarInfo): string | undefined {
  const { key } = narObject(objects, info);
  return key === undefined ? undefined : objects.localFile(key);
}

/** What is the matter with the NAR that a narinfo points to, as far as its size tells: only reading it would tell all. */
export type NarFault = 'missing' | 'wrong-size';

/** Sizes of NARs by their keys, as a listing tells them; what that lacks is asked for. */
export type NarSizes = ReadonlyMap<string, number>;

/** Whether the NAR of a narinfo is there, and as large as it should be; `undefined` when nothing speaks against it. */
export async function narFault(objects: ObjectStore, info: NarInfo, listed?: NarSizes): Promise<NarFault | undefined> {
  const wanted = info.fileSize ?? (info.compression === 'none' ? info.narSize : undefined);
  // A server may not tell a size.
  const fits = (size: number | undefined) =>
    size !== undefined && (wanted === undefined || size === wanted || Number.isNaN(size));
  const file = narObject(objects, info);
  const { key = '' } = file;
  if (fits(listed?.get(key)) || fits((await file.stat().catch(withoutHead))?.size)) return undefined;
  // Some web servers answer HEAD otherwise than GET, which is what a pull asks.
  const nar = await file.open();
  if (nar === undefined) return 'missing';
  nar.discard();
  return fits(nar.size) ? undefined : 'wrong-size';
}

/** A web server may take no HEAD: then it is asked by GET. */
const withoutHead = insteadOf('E_REMOTE', undefined);

/** The sizes of all NARs of a store that can be listed. */
export async function listNars(objects: ObjectStore): Promise<NarSizes> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of listObjects(objects, { prefix: NARS, recursive: true })) sizes.set(key, size);
  return sizes;
}

/** Throws what a pull of the path would end with, as far as the size of its NAR tells. */
export async function requireNar(objects: ObjectStore, info: NarInfo, listed?: NarSizes): Promise<void> {
  const fault = await narFault(objects, info, listed);
  if (fault === 'missing') throw missingNar(objects, info);
  if (fault === undefined) return;
  throw new CarportError('E_INTEGRITY', `the NAR of \`${info.path}\` in \`${objects.url}\` is not whole`, {
    cause: new Error(`\`${info.url}\` has not the size that its narinfo says`),
    hint: MEND,
  });
}

/** Opens the NAR of a path, or a range of it; throws where it is not there. */
export async function openRequiredNar(objects: ObjectStore, info: NarInfo, range?: ByteRange): Promise<StoredObject> {
  const nar = await narObject(objects, info).open(range);
  if (nar === undefined) throw missingNar(objects, info);
  return nar;
}

export function missingNar(objects: ObjectStore, { path, url }: NarInfo): CarportError {
  // A web server says so of more than what is missing.
  const hint = isListable(objects)
    ? MEND
    : `see whether Nix finds it, with \`nix copy --from '${objects.url}' ${path}\`; if not, ${MEND}`;
  return new CarportError('E_NOT_FOUND', `\`${objects.url}\` has a narinfo of \`${path}\`, but not its NAR`, {
    cause: new Error(`\`${printableLink(url)}\` is missing`),
    hint,
  });
}

const MEND = 'the cache is not complete: push the path again with `--check-all`';
