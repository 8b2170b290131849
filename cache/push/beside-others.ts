/**
 * Several pushes into one directory at a time: where two have planned to write the same narinfo, it has the signatures of both. A
 * bucket would have to be asked once more for each path: there the last one's stay.
 */

import { mapAtMost } from '../../lib/concurrency.js';
import { insteadOf } from '../../lib/errors.js';
import { type NarInfo, parseNarInfo } from '../../lib/nix/narinfo.js';
import { mergeSignatures, type PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { signatureKeyName } from '../../lib/signing/signature.js';
import { readNarInfo, writeNarInfo, writeNarInfoText } from '../binary-cache.js';
import { addSignatures, hasAllSignatures, saySame } from '../signatures.js';

/** Narinfos that are looked at at a time. */
const AT_ONCE = 64;

/** Writes the narinfo of a path that the cache lacked when it was looked at. Gives whether another push has written one since. */
export async function writeNewNarInfo(objects: ObjectStore, path: string, text: string): Promise<boolean> {
  const there = objects.traits.isImmediate ? await narInfoThere(objects, path) : undefined;
  const own = there && parseNarInfo(text);
  if (!there || !own || !saySame(there, own)) {
    await writeNarInfoText(objects, hashPartOf(path), text);
    return there !== undefined;
  }
  const names = new Set(own.signatures.map(signatureKeyName));
  const others = there.signatures.filter((signature) => !names.has(signatureKeyName(signature)));
  await writeNarInfo(objects, { ...own, signatures: mergeSignatures(others, own.signatures) });
  return true;
}

/** Signs once more what another push, which did not see ours, has written over. */
export async function signWhatWasLost(
  objects: ObjectStore,
  uploaded: readonly PathInfo[],
  keys: readonly SecretKey[],
): Promise<void> {
  await mapAtMost(AT_ONCE, uploaded, async (info) => {
    const there = await narInfoThere(objects, info.path);
    if (there && saySame(there, info) && !hasAllSignatures(there, keys)) await addSignatures(objects, there, keys);
  });
}

/** What no narinfo is counts as none. */
function narInfoThere(objects: ObjectStore, path: string): Promise<NarInfo | undefined> {
  return readNarInfo(objects, hashPartOf(path)).catch(insteadOf('E_FORMAT', undefined));
}
