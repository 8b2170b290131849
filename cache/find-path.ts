/** Finds the first cache that has a path as a reader accepts it: its narinfo's signature is checked here. */

import { CarportError } from '../lib/errors.js';
import { contradictsContent } from '../lib/nix/content-address.js';
import { formatHash } from '../lib/nix/hash.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { storeDirOf } from '../lib/nix/store-path.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import { verifyPath } from '../lib/signing/signature.js';
import { requireTrusted, type TrustPolicy } from '../lib/signing/trust.js';
import type { Emit, WarningEvent } from '../lib/work.js';
import { readNarInfo } from './binary-cache.js';

/** A path that a reader accepts. */
export interface FoundPath {
  readonly info: NarInfo;
  /** The cache that `info` is from. */
  readonly objects: ObjectStore;
}

interface Wanted {
  readonly hashPart: string;
  /** The whole path, when it is known: another name under its hash part is refused. */
  readonly path: string | undefined;
  readonly storeDir: string;
}

/** The first acceptable narinfo; a cache whose answer is refused is passed over with a warning. */
export async function findPath(
  caches: readonly ObjectStore[],
  wanted: Wanted,
  trust: TrustPolicy,
  emit: Emit<WarningEvent>,
): Promise<FoundPath> {
  let refusal: CarportError | undefined;
  for (const objects of caches) {
    try {
      const info = await readNarInfo(objects, wanted.hashPart);
      if (info === undefined) continue;
      const accepted = accept(info, objects, wanted, trust);
      if (refusal) emit({ type: 'warning', message: refusal.message });
      return { info: accepted, objects };
    } catch (error) {
      if (!(error instanceof CarportError)) throw error;
      if (refusal) emit({ type: 'warning', message: refusal.message });
      refusal = error;
    }
  }
  if (refusal) throw refusal;
  const urls = caches.map(({ url }) => `\`${url}\``).join(', ');
  throw new CarportError('E_NOT_FOUND', `\`${wanted.path ?? wanted.hashPart}\` is not in ${urls || 'any cache'}`, {
    hint: 'check the path, or name the cache that has it with `--from`',
  });
}

function accept(info: NarInfo, objects: ObjectStore, { path, storeDir }: Wanted, trust: TrustPolicy): NarInfo {
  if (storeDirOf(info.path) !== storeDir || (path !== undefined && info.path !== path)) {
    throw new CarportError(
      'E_INTEGRITY',
      `\`${objects.url}\` answers with \`${info.path}\` to \`${path ?? storeDir}\``,
      { hint: 'the cache is damaged or was tampered with: read from another one' },
    );
  }
  requireTrusted(info, trust, `\`${objects.url}\``);
  // Of a signed path the signature tells which of the two is right.
  if (contradictsContent(info) && verifyPath(info, trust.keys).state !== 'valid') {
    throw new CarportError(
      'E_INTEGRITY',
      `\`${objects.url}\` has other content for \`${info.path}\` than its name says`,
      {
        cause: new Error(`its content address is \`${info.ca}\`, its NAR hash ${formatHash(info.narHash, 'sri')}`),
        hint: 'the cache is damaged or was tampered with: read from another one',
      },
    );
  }
  return info;
}
