/** Where the bytes of a NAR come from: read whole when it is small, else opened when a thread wants them. */

import { type Pieces, piecesIn, type Room } from '../../lib/buffers.js';
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

/** Whether the NAR of a path is a small file of this machine. */
export function isSmallHere({ info, objects }: FoundPath): boolean {
  return objects.traits.isImmediate && info.fileSize !== undefined && info.fileSize <= SMALL_FILE;
}

/** The file of a NAR that `isSmall`, read whole. */
export async function readSmallFile(info: NarInfo, objects: ObjectStore): Promise<Uint8Array> {
  const bytes = await narObject(objects, info)
    .read(SMALL_FILE)
    .catch(insteadOf('E_FORMAT', 'too large' as const));
  if (bytes === 'too large') {
    throw new NarRefusal('E_INTEGRITY', `the file is larger than its ${info.fileSize} bytes`, 'another');
  }
  if (bytes) return bytes;
  throw missingNar(objects, info);
}

/**
 * The file of a large NAR, which is asked for when a thread wants its first bytes, so that no answer waits for one. When `signal` is
 * aborted the server is let go at once.
 */
export function largeFile(info: NarInfo, objects: ObjectStore, signal?: AbortSignal): Pieces {
  const open = async () => {
    const object = await openRequiredNar(objects, info);
    signal?.addEventListener('abort', object.discard, { once: true });
    if (signal?.aborted) object.discard();
    return object.bytes();
  };
  return Object.assign(openedLate(open), { into: (room: Room) => openedLate(open, room) });
}

/** What was read, as a source. */
export async function* wholeFile(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function* openedLate(open: () => Promise<Pieces>, room?: Room): AsyncGenerator<Uint8Array> {
  yield* piecesIn(await open(), room);
}
