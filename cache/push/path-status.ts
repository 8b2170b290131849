/** What the cache has of one path. */

import { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { mergeSignatures, type PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { readNarInfo } from '../binary-cache.js';
import { narFault } from '../nars.js';
import { hasAllSignatures, saySame } from '../signatures.js';

/** What a cache has of a path. */
export interface PathStatus {
  /** As asked; when its NAR has to be mended, with the signatures that it had. */
  readonly info: PathInfo;
  readonly state: 'absent' | 'present' | 'unsigned' | 'different';
  /** Its narinfo is there, but not its NAR. */
  readonly lacksNar?: boolean;
  /** The narinfo that is there. */
  readonly there?: NarInfo;
}

/** Asks for a path's narinfo, and with `checkNar` whether its NAR is there. */
export async function queryPath(
  objects: ObjectStore,
  info: PathInfo,
  keys: readonly SecretKey[],
  checkNar: boolean,
): Promise<PathStatus> {
  const there = await readNarInfo(objects, hashPartOf(info.path));
  if (there === undefined) return { info, state: 'absent' };
  if (there.path !== info.path) {
    throw new CarportError('E_INTEGRITY', `\`${info.path}\` and \`${there.path}\` in the cache have one hash part`);
  }
  if (checkNar && (await narFault(objects, there))) return withoutNar(info, there);
  // A build that is not reproducible: what is there stays, and we cannot vouch for it.
  if (!saySame(there, info)) return { info, state: 'different', there };
  return { info, state: hasAllSignatures(there, keys) ? 'present' : 'unsigned', there };
}

/** The answer for a path whose NAR is gone: as if nothing was there. */
export function withoutNar(info: PathInfo, there: NarInfo): PathStatus {
  const signatures = saySame(there, info) ? mergeSignatures(info.signatures, there.signatures) : info.signatures;
  return { info: { ...info, signatures }, state: 'absent', lacksNar: true, there };
}
