import { encodeNix32 } from '#lib/nix/base32.js';
import { hashBytes } from '#lib/nix/hash.js';
import type { PathInfo } from '#lib/nix/path-info.js';

/** A path that nobody has, by its name. */
export function fakePath(name: string, references: readonly string[] = []): PathInfo {
  const narHash = hashBytes('sha256', name);
  const hashPart = encodeNix32(narHash.digest.subarray(0, 20));
  return { path: `/nix/store/${hashPart}-${name}`, narHash, narSize: 100, references, signatures: [] };
}

/** Paths that refer to nothing, and at the end one that refers to all of them, and to `more`. */
export function fakeFan(count: number, name: string, more: readonly string[] = []): readonly PathInfo[] {
  const others = Array.from({ length: count }, (_, index) => fakePath(`${name}-${index}`));
  return [...others, fakePath(name, [...others.map(({ path }) => path), ...more])];
}
