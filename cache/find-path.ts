/** Finds the first cache that has a path as a reader accepts it: its narinfo's signature is checked here. */

import { CarportError } from '../lib/errors.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import { requireAcceptable, type WantedPath } from '../lib/signing/acceptable.js';
import type { Emit, WarningEvent } from '../lib/work.js';
import { readNarInfo } from './binary-cache.js';
import { type ReaderTrust, trustNow, withSuccessors } from './keys/follow.js';
import { type LockedContent, lockedPathIsGone, requireLockedContent } from './toolchains/locked.js';

/** A path that a reader accepts. */
export interface FoundPath {
  readonly info: NarInfo;
  /** The cache that `info` is from. */
  readonly objects: ObjectStore;
}

interface Wanted extends WantedPath {
  readonly hashPart: string;
  /** What a lock says of it: anything else is refused. */
  readonly locked?: LockedContent | undefined;
}

/** The first acceptable narinfo; a cache whose answer is refused is passed over with a warning. */
export async function findPath(
  caches: readonly ObjectStore[],
  wanted: Wanted,
  trust: ReaderTrust,
  emit: Emit<WarningEvent>,
): Promise<FoundPath> {
  let refusal: CarportError | undefined;
  for (const objects of caches) {
    try {
      const info = await readNarInfo(objects, wanted.hashPart);
      if (info === undefined) continue;
      await withSuccessors(trust, objects, emit, (policy) => requireAcceptable(info, wanted, policy, objects.url));
      if (wanted.locked) requireLockedContent(info, wanted.locked, trustNow(trust, objects), objects.url);
      if (refusal) emit({ type: 'warning', message: refusal.message });
      return { info, objects };
    } catch (error) {
      if (!(error instanceof CarportError)) throw error;
      if (refusal) emit({ type: 'warning', message: refusal.message });
      refusal = error;
    }
  }
  if (refusal) throw refusal;
  const urls = caches.map(({ url }) => `\`${url}\``).join(', ') || 'any cache';
  if (wanted.locked) throw lockedPathIsGone(wanted.path ?? wanted.hashPart, wanted.locked, urls);
  throw new CarportError('E_NOT_FOUND', `\`${wanted.path ?? wanted.hashPart}\` is not in ${urls}`, {
    hint: 'check the path, or name the cache that has it with `--from`',
  });
}
