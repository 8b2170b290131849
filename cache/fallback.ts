/** The next cache, where one fails. */

import { type CarportError, type ErrorCode, hasCode } from '../lib/errors.js';
import { renderHash } from '../lib/nix/hash.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { hashPartOf, storeDirOf } from '../lib/nix/store-path.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../lib/work.js';
import { type FoundPath, findPath, type Wanted } from './find-path.js';
import type { ReaderTrust } from './keys/follow.js';

export interface Sources {
  /** In the order in which they are asked. */
  readonly caches: readonly ObjectStore[];
  readonly trust: ReaderTrust;
  readonly emit: Emit<WarningEvent>;
}

/**
 * Tries the cache where it was found, then those after it that have the path; one that fails is passed over with a warning. What they
 * have is held to what the plan and a lock say.
 */
export async function fromFirstThatCan<T>(
  found: FoundPath,
  { caches, trust, emit }: Sources,
  attempt: (from: FoundPath) => Promise<T>,
): Promise<T> {
  const wanted = wantedAgain(found);
  let rest = caches.slice(caches.indexOf(found.objects) + 1);
  for (let from = found; ; ) {
    try {
      return await attempt(from);
    } catch (error) {
      if (!isFaultOfCache(error)) throw error;
      const alone = from.isHint && (await askAlone(from, wanted, trust));
      if (alone) {
        from = alone;
        continue;
      }
      if (rest.length === 0) throw error;
      const about = { path: wanted.path, cache: from.objects.url };
      // Where there is no other, this is the error, and no warning that says the same.
      from = await findPath(rest, wanted, trust, emit).catch(() => {
        throw error;
      });
      emit({ type: 'warning', about, message: `${error.message}; trying the next cache` });
      rest = rest.slice(rest.indexOf(from.objects) + 1);
    }
  }
}

/** What another answer has to be. */
function wantedAgain({ info: { path, references }, locked }: FoundPath): Wanted & { readonly path: string } {
  return { hashPart: hashPartOf(path), path, storeDir: storeDirOf(path), references, locked };
}

/** What the cache says of the path by itself, where that is not what its batch said. */
async function askAlone(
  { info, objects }: FoundPath,
  wanted: Wanted,
  trust: ReaderTrust,
): Promise<FoundPath | undefined> {
  const found = await findPath([objects], wanted, trust, () => undefined).catch((error: unknown) => {
    if (isFaultOfCache(error)) return undefined;
    throw error;
  });
  return found && toldOfNar(found.info) !== toldOfNar(info) ? found : undefined;
}

/** What a narinfo says of its NAR and its file. */
function toldOfNar({ url, compression, narHash, narSize, fileHash, fileSize }: NarInfo): string {
  const hashes = [narHash, ...(fileHash ? [fileHash] : [])].map(renderHash);
  return [url, compression, narSize, fileSize, ...hashes].join(' ');
}

/** Another cache may do better. Errors of the store that is written to are no `CarportError`. */
function isFaultOfCache(error: unknown): error is CarportError {
  const codes: readonly ErrorCode[] = [
    'E_INTEGRITY',
    'E_FORMAT',
    'E_NOT_FOUND',
    'E_SIGNATURE',
    'E_UNSUPPORTED',
    'E_IO',
    'E_UNAVAILABLE',
    'E_REMOTE',
    // What this machine lacks to read it, another cache may not need.
    'E_PROGRAM',
  ];
  return hasCode(error, ...codes);
}
