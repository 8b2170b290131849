/** Finds the first cache that has a path as a reader accepts it: its narinfo's signature is checked here. */

import { CarportError, type ErrorCode } from '../lib/errors.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import { requireAcceptable, type WantedPath } from '../lib/signing/acceptable.js';
import type { Emit, WarningEvent } from '../lib/work.js';
import type { BatchReader } from './batches/reader.js';
import { readNarInfo } from './binary-cache.js';
import { type ReaderTrust, trustNow, withSuccessors } from './keys/follow.js';
import { type LockedContent, lockedPathIsGone, requireLockedContent } from './toolchains/locked.js';

/**
 * What is found where nobody should have looked: in an old batch, or at a server that is no cache. A server may call what is not there
 * forbidden. That one cannot be reached is nobody's fault.
 */
export const NOT_WHAT_WAS_WANTED: readonly ErrorCode[] = [
  ...(['E_NOT_FOUND', 'E_FORMAT', 'E_INTEGRITY', 'E_SIGNATURE'] as const),
  ...(['E_UNSUPPORTED', 'E_CREDENTIALS', 'E_REMOTE'] as const),
];

/** A path that a reader accepts. */
export interface FoundPath {
  readonly info: NarInfo;
  /** The cache that `info` is from. */
  readonly objects: ObjectStore;
  /** It is from a batch: what the cache says of the path by itself may be something else by now. */
  readonly isHint?: true;
  /** What a lock says of it: that holds in each cache that is tried for it. */
  readonly locked?: LockedContent;
}

/** What is looked for. */
export interface Wanted extends WantedPath {
  readonly hashPart: string;
  /** What a lock says of it: anything else is refused. */
  readonly locked?: LockedContent | undefined;
  /** All that it may refer to, where that is planned already: a build that needs more is refused. */
  readonly references?: readonly string[];
  /** What a cache says needs it, asked where it is in none: then nobody has named it, and the cache is not whole. */
  referrer?(): FoundPath | undefined;
}

/**
 * The first acceptable narinfo; a cache whose answer is refused is passed over with a warning. What `batches` say is taken where it
 * is accepted; what is not is asked for by itself.
 */
export async function findPath(
  caches: readonly ObjectStore[],
  wanted: Wanted,
  trust: ReaderTrust,
  emit: Emit<WarningEvent>,
  batches?: BatchReader,
): Promise<FoundPath> {
  const { locked } = wanted;
  let refusal: CarportError | undefined;
  for (const objects of caches) {
    try {
      const read = await batches?.read(objects, wanted.hashPart);
      const hint = read?.isHint && isAcceptable(read.info, wanted, trustNow(trust, objects), objects) && read.info;
      const info = hint || (read && !read.isHint ? read.info : await readNarInfo(objects, wanted.hashPart));
      if (info === undefined) continue;
      if (!hint) {
        await withSuccessors(trust, objects, emit, (policy) => requireAcceptable(info, wanted, policy, objects.url));
        if (locked) requireLockedContent(info, locked, trustNow(trust, objects), objects.url);
      }
      requirePlanned(info, wanted, objects);
      if (refusal) emit({ type: 'warning', message: refusal.message });
      return { info, objects, ...(locked && { locked }), ...(hint && { isHint: true }) };
    } catch (error) {
      if (!(error instanceof CarportError)) throw error;
      if (refusal) emit({ type: 'warning', message: refusal.message });
      refusal = error;
    }
  }
  if (refusal) throw refusal;
  const urls = caches.map(({ url }) => `\`${url}\``).join(', ') || 'any cache';
  if (locked) throw lockedPathIsGone(wanted.path ?? wanted.hashPart, locked, urls);
  throw notThere(wanted, urls);
}

function notThere({ path, hashPart, referrer }: Wanted, urls: string): CarportError {
  const message = `\`${path ?? hashPart}\` is not in ${urls}`;
  const needing = referrer?.();
  if (needing === undefined) {
    return new CarportError('E_NOT_FOUND', message, {
      hint: 'check the path, or name the cache that has it with `--from`',
    });
  }
  const { info, objects } = needing;
  return new CarportError('E_NOT_FOUND', message, {
    cause: new Error(`\`${info.path}\`, which \`${objects.url}\` has, refers to it`),
    hint: `the cache is not complete: push \`${info.path}\` again with \`--check-all\`; \`carport cache fsck\` tells what else is missing`,
  });
}

/** What is registered has all that it refers to, and so far that is what was planned. */
function requirePlanned({ path, references }: NarInfo, wanted: Wanted, { url }: ObjectStore): void {
  const planned = wanted.references;
  const more = planned && references.find((reference) => reference !== path && !planned.includes(reference));
  if (more === undefined) return;
  throw new CarportError('E_UNSUPPORTED', `\`${path}\` in \`${url}\` is another build, which also needs \`${more}\``, {
    hint: 'pull it from that cache alone',
  });
}

/** Whether a reader takes what a batch says as it is, without asking for more. What is locked is asked for by itself. */
function isAcceptable(info: NarInfo, wanted: Wanted, trust: ReaderTrust, { url }: ObjectStore): boolean {
  if (wanted.locked) return false;
  try {
    requireAcceptable(info, wanted, trust, url);
    return true;
  } catch (error) {
    if (error instanceof CarportError) return false;
    throw error;
  }
}
