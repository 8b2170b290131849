/** What a request to a server of caches asks for: what Nix asks of a binary cache, and nothing else. Pure. */

import { isStoreBaseName, isStorePathName } from '../../lib/nix/store-path.js';
import {
  CACHE_INFO_KEY,
  hashPartOfKey,
  listedHashPartOf,
  loggedNameOf,
  realisationIdOfKey,
  type ServedNar,
  servedNarOfKey,
  tracedOutputOfKey,
} from '../layout.js';

export type Route =
  | { readonly kind: 'root' }
  | { readonly kind: 'cache-info' }
  /** What is said of a path. */
  | { readonly kind: 'path'; readonly hashPart: string }
  /** Its plain NAR. */
  | ({ readonly kind: 'contents' } & ServedNar)
  /** A file of a cache, as it is there. */
  | { readonly kind: 'file'; readonly key: string; readonly contentType: string };

/** Names of Nix have 211 characters at most; the longest key has two. */
const LONGEST = 1024;

/** What a path means, as it is in the first line of a request; `undefined` for what Nix does not ask for. */
export function routeOf(target: string): Route | undefined {
  if (target === '/') return { kind: 'root' };
  const key = decodedKey(target);
  if (key === undefined) return undefined;
  if (key === CACHE_INFO_KEY) return { kind: 'cache-info' };
  const hashPart = hashPartOfKey(key);
  if (hashPart !== undefined) return { kind: 'path', hashPart };
  const nar = servedNarOfKey(key);
  if (nar) return { kind: 'contents', ...nar };
  if (loggedNameOf(key) !== undefined) return { kind: 'file', key, contentType: 'text/plain; charset=utf-8' };
  return isJsonFile(key) ? { kind: 'file', key, contentType: 'application/json' } : undefined;
}

function isJsonFile(key: string): boolean {
  if (listedHashPartOf(key) !== undefined || realisationIdOfKey(key) !== undefined) return true;
  const traced = tracedOutputOfKey(key);
  return traced !== undefined && isStoreBaseName(traced.drvPath) && isStorePathName(traced.outputName);
}

/** Clients may encode `!` and `:`. */
function decodedKey(target: string): string | undefined {
  if (target.length > LONGEST) return undefined;
  try {
    return decodeURIComponent(target.slice(1));
  } catch {
    return undefined;
  }
}
