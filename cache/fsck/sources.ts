/** Where what a cache has lost may be had again: a store of this machine, another cache. */

import { CarportError } from '../../lib/errors.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { isStorePath } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { SecretKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Store } from '../../lib/store/store.js';
import type { Packing } from '../push/upload.js';
import { saySame } from '../signatures.js';
import { readAnyNarInfo } from './look/narinfo.js';

/** Where paths are had from, and how they are put into the cache. */
export interface MendSources {
  readonly store: Store | undefined;
  readonly from: ObjectStore | undefined;
  readonly trust: TrustPolicy;
  /** Sign what is pushed again. */
  readonly keys: readonly SecretKey[];
  readonly packing: Packing;
}

/** A path that a source has. */
export type Source =
  | { readonly origin: 'store'; readonly info: PathInfo; readonly store: Store }
  | { readonly origin: 'cache'; readonly info: NarInfo; readonly objects: ObjectStore };

/** A path that is to be had again. */
export interface Wanted {
  readonly hashPart: string;
  /** Where it is known. */
  readonly path: string | undefined;
  /** What the cache says of it, where that can be believed. */
  readonly there: NarInfo | undefined;
}

/** Finds paths; says why there is none. */
export interface SourceFinder {
  /** Has the store asked for many paths at once: Nix is a program, which is not to be started for each. */
  expect(paths: readonly string[]): Promise<void>;
  find(wanted: Wanted): Promise<Source | CarportError>;
}

/** Asks the store first: it is nearer, and what is valid there is believed. What is the same as in the cache goes before. */
export function createSourceFinder({ store, from, trust }: MendSources): SourceFinder {
  let hashParts: Promise<ReadonlyMap<string, string>> | undefined;
  const infos = new Map<string, PathInfo | undefined>();
  const expect = async (paths: readonly string[]): Promise<void> => {
    const wanted = paths.filter((path) => !infos.has(path));
    if (store === undefined || wanted.length === 0) return;
    const found = await store.queryInfos(wanted.filter((path) => isStorePath(path, store.storeDir)));
    for (const path of wanted) infos.set(path, found.get(path));
  };
  const inStore = async ({ hashPart, path }: Wanted): Promise<Source | undefined> => {
    if (store === undefined) return undefined;
    if (path === undefined) hashParts ??= store.queryHashParts();
    const known = path ?? (await hashParts)?.get(hashPart);
    if (known !== undefined && !infos.has(known)) await expect([known]);
    const info = known === undefined ? undefined : infos.get(known);
    return info && { origin: 'store', info, store };
  };
  const inCache = async ({ hashPart, path, there }: Wanted): Promise<Source | CarportError | undefined> => {
    const read = from && (await readAnyNarInfo(from, hashPart));
    if (from === undefined || read === undefined || read.state === 'gone') return undefined;
    if (read.state === 'bad') return new CarportError('E_INTEGRITY', `\`${from.url}\`: ${read.finding.message}`);
    const { info } = read;
    if (path !== undefined && info.path !== path) return undefined;
    const { state } = verifyPath(info, trust.keys);
    const isBelieved = state === 'valid' || (state === 'unsigned' && trust.allowUnsigned);
    // What the cache itself says of it is no less believed than before.
    if (isBelieved || (there && saySame(there, info))) return { origin: 'cache', info, objects: from };
    return new CarportError('E_SIGNATURE', `what \`${from.url}\` has of it no trusted key has signed`);
  };
  return {
    expect,
    async find(wanted) {
      const [own, other] = [await inStore(wanted), await inCache(wanted)];
      const others = [own, other].flatMap((one) => (one === undefined || one instanceof CarportError ? [] : [one]));
      const same = others.find((source) => wanted.there !== undefined && saySame(wanted.there, source.info));
      if (same) return same;
      if (others[0]) return others[0];
      return other instanceof CarportError ? other : nowhere(store, from);
    },
  };
}

function nowhere(store: Store | undefined, from: ObjectStore | undefined): CarportError {
  const places = [store?.description, from && `\`${from.url}\``].filter((place) => place !== undefined);
  const where = places.length === 0 ? 'no place is given to have it from' : `it is not in ${places.join(', nor in ')}`;
  return new CarportError('E_NOT_FOUND', where);
}
