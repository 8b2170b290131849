/** Content addresses, and the store paths that they give. */

import { formatError } from '../errors.js';
import { type Hash, hashBytes, hashesEqual, parseHash, renderHash, toHex } from './hash.js';
import { makeStorePath, nameOf, storeDirOf } from './store-path.js';

/** How the content was hashed: `flat` a file's bytes, `recursive` its NAR, `git` its git tree, `text` a plain file. */
export type ContentAddressMethod = 'text' | 'flat' | 'recursive' | 'git';

/** What a content-addressed path is named after (`CA:` in a narinfo). */
export interface ContentAddress {
  readonly method: ContentAddressMethod;
  readonly hash: Hash;
}

/** What a store path points to, as its own name takes it in. */
export interface PathReferences {
  /** Full store paths, without the path itself. */
  readonly others: readonly string[];
  /** Whether the content names its own path. */
  readonly self: boolean;
}

const NO_REFERENCES: PathReferences = { others: [], self: false };

/** The prefix before `<algorithm>:` in `fixed:` addresses and in a derivation's hashAlgo. */
export const METHOD_PREFIXES = { flat: '', recursive: 'r:', git: 'git:' } as const;

/** Parses `text:sha256:<hash>` and `fixed:[r:|git:]<algorithm>:<hash>` (libstore/content-address.cc). */
export function parseContentAddress(text: string): ContentAddress {
  if (text.startsWith('text:')) return { method: 'text', hash: parseHash(text.slice(5), 'sha256') };
  const match = /^fixed:(r:|git:)?(.*)$/s.exec(text);
  if (!match) throw formatError(`content address \`${text}\``, 'starts with neither `text:` nor `fixed:`');
  const method = match[1] === 'r:' ? 'recursive' : match[1] === 'git:' ? 'git' : 'flat';
  return { method, hash: parseHash(match[2]!) };
}

export function renderContentAddress(address: ContentAddress): string {
  const hash = renderHash(address.hash);
  return address.method === 'text' ? `text:${hash}` : `fixed:${METHOD_PREFIXES[address.method]}${hash}`;
}

/**
 * The store path of content that is addressed by its hash (libstore/store-dir-config.cc). Only `text` and recursive
 * sha256 may have references.
 */
export function makeContentAddressedPath(
  address: ContentAddress,
  name: string,
  storeDir: string,
  references: PathReferences = NO_REFERENCES,
): string {
  const what = `store path of \`${name}\``;
  if (address.method === 'text') {
    if (references.self) throw formatError(what, 'a text file cannot refer to itself');
    return makeStorePath(typeWithReferences('text', references), address.hash, name, storeDir);
  }
  if (address.method === 'recursive' && address.hash.algorithm === 'sha256') {
    return makeStorePath(typeWithReferences('source', references), address.hash, name, storeDir);
  }
  if (references.self || references.others.length > 0) {
    throw formatError(what, 'only recursive sha256 content may have references');
  }
  const inner = `fixed:out:${METHOD_PREFIXES[address.method]}${address.hash.algorithm}:${toHex(address.hash.digest)}:`;
  return makeStorePath('output:out', hashBytes('sha256', inner), name, storeDir);
}

/** Whether a content address gives the path that it is said to belong to. Nobody signs it, so it must be checked. */
export function isContentAddressOf(text: string, path: string, references: readonly string[]): boolean {
  try {
    return isPathOf(parseContentAddress(text), path, references);
  } catch {
    return false;
  }
}

function isPathOf(address: ContentAddress, path: string, references: readonly string[]): boolean {
  const others = references.filter((reference) => reference !== path);
  const self = others.length < references.length;
  try {
    return makeContentAddressedPath(address, nameOf(path), storeDirOf(path), { others, self }) === path;
  } catch {
    return false;
  }
}

/** What is said of a path, its content address among it. */
interface AddressedPath {
  readonly path: string;
  readonly references: readonly string[];
  readonly narHash: Hash;
  readonly ca?: string | undefined;
}

/** The content address of a path where it gives the path and, as far as that can be told, its content. */
export function checkedContentAddress(info: AddressedPath): string | undefined {
  const { ca, path, references, narHash } = info;
  if (ca === undefined) return undefined;
  // As most are, and that is seen at less cost than its parts are.
  if (ca === `fixed:r:${renderHash(narHash)}`) {
    return isPathOf({ method: 'recursive', hash: narHash }, path, references) ? ca : undefined;
  }
  return isContentAddressOf(ca, path, references) && !contradictsContent(info) ? ca : undefined;
}

/**
 * Whether a content address gives the path, and another NAR hash than the path has: then one of the two is a lie. It can be
 * told of a sha256 of the whole NAR, without the path's own name in it (libstore's `ca hash mismatch importing path`).
 */
export function contradictsContent({ ca, path, references, narHash }: AddressedPath): boolean {
  if (ca === undefined || references.includes(path)) return false;
  // The cheaper question first: most addresses are of this very NAR, or of no NAR.
  return namesAnotherNar(ca, narHash) && isContentAddressOf(ca, path, references);
}

function namesAnotherNar(ca: string, narHash: Hash): boolean {
  try {
    const { method, hash } = parseContentAddress(ca);
    return method === 'recursive' && hash.algorithm === narHash.algorithm && !hashesEqual(hash, narHash);
  } catch {
    return false;
  }
}

/**
 * The content address that gives a path, where that can be told by the sha256 of its NAR or, of a plain file, of its bytes.
 * A path whose content names itself has another hash, and is not found.
 */
export function findContentAddress(
  {
    path,
    references,
    narHash,
  }: { readonly path: string; readonly references: readonly string[]; readonly narHash: Hash },
  flatHash?: Hash,
): string | undefined {
  const addresses: readonly ContentAddress[] = [
    { method: 'recursive', hash: narHash },
    ...(flatHash
      ? ([
          { method: 'text', hash: flatHash },
          { method: 'flat', hash: flatHash },
        ] as const)
      : []),
  ];
  return addresses.map(renderContentAddress).find((text) => isContentAddressOf(text, path, references));
}

/** The type of a store path with its references: `source:<ref>…:self`. */
function typeWithReferences(type: string, references: PathReferences): string {
  return [type, ...[...references.others].sort(), ...(references.self ? ['self'] : [])].join(':');
}
