/** Where the bytes of a NAR come from: read whole when it is small, else opened when a thread wants them. */

import { NarRefusal } from '../../lib/compression/nar-refusal.js';
import { insteadOf } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { FoundPath } from '../find-path.js';
import { missingNar, narObject, openRequiredNar } from '../nars.js';

/** A compressed NAR up to this size is read whole and then unpacked, so that no thread waits for the network. */
const SMALL_FILE = 512 * 1024;

/** Whether the NAR of a path comes over the network and is read whole before it is unpacked. */
export function isSmall({ info, objects }: FoundPath): boolean {
  return !objects.traits.isImmediate && info.fileSize !== undefined && info.fileSize <= SMALL_FILE;
}

/** A small NAR whole; a large one is asked for when a thread wants its first bytes, so that no answer waits for one. */
export async function narSource(info: NarInfo, objects: ObjectStore): Promise<AsyncIterable<Uint8Array>> {
  if (!isSmall({ info, objects })) return openedLate(async () => (await openRequiredNar(objects, info)).bytes());
  const bytes = await narObject(objects, info)
    .read(SMALL_FILE)
    .catch(insteadOf('E_FORMAT', 'too large' as const));
  if (bytes === 'too large') {
    throw new NarRefusal('E_INTEGRITY', `the file is larger than its ${info.fileSize} bytes`, 'another');
  }
  if (bytes) return oneAfterAnother([bytes]);
  throw missingNar(objects, info);
}

async function* openedLate(open: () => Promise<AsyncIterable<Uint8Array>>): AsyncGenerator<Uint8Array> {
  yield* await open();
}

async function* oneAfterAnother(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}
