/** What a request to a server of caches asks for: what Nix asks of a binary cache, and nothing else. Pure. */

import { isRealisationId } from '../../lib/nix/realisation.js';
import { isHashPart, isStoreBaseName, isStorePathName } from '../../lib/nix/store-path.js';
import { CACHE_INFO_KEY, hashPartOfKey, realisationIdOfKey, tracedOutputOfKey } from '../layout.js';

export type Route =
  | { readonly kind: 'root' }
  | { readonly kind: 'cache-info' }
  | { readonly kind: 'narinfo'; readonly hashPart: string }
  | { readonly kind: 'nar'; readonly hashPart: string; readonly narHash: string }
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
  if (hashPart !== undefined) return { kind: 'narinfo', hashPart };
  const nar = /^nar\/(?<hashPart>[0-9a-z]{32})-(?<narHash>[0-9a-z]{52})\.nar$/.exec(key)?.groups;
  if (nar && isHashPart(nar.hashPart!)) return { kind: 'nar', hashPart: nar.hashPart!, narHash: nar.narHash! };
  return fileOf(key);
}

function fileOf(key: string): Route | undefined {
  const json = 'application/json';
  const listed = /^(?<hashPart>[^/]*)\.ls$/.exec(key)?.groups?.hashPart;
  if (listed !== undefined && isHashPart(listed)) return { kind: 'file', key, contentType: json };
  if (realisationIdOfKey(key) !== undefined && isRealisationId(realisationIdOfKey(key)!))
    return { kind: 'file', key, contentType: json };
  const traced = tracedOutputOfKey(key);
  if (traced && isStoreBaseName(traced.drvPath) && isStorePathName(traced.outputName))
    return { kind: 'file', key, contentType: json };
  const log = /^log\/(?<name>[^/]*)$/.exec(key)?.groups?.name;
  if (log !== undefined && isStoreBaseName(log)) return { kind: 'file', key, contentType: 'text/plain; charset=utf-8' };
  return undefined;
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
