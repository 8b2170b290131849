/** `PathInfo`: what is known of a valid store path, whether it lies in a cache or in a store. */

import type { Hash } from './hash.js';

/** What is known of a valid store path, in a cache and in a store. Paths are full store paths. */
export interface PathInfo {
  readonly path: string;
  readonly narHash: Hash;
  /** Bytes of the NAR, uncompressed. */
  readonly narSize: number;
  readonly references: readonly string[];
  readonly deriver?: string;
  /** `<key name>:<base 64>`, one a key. */
  readonly signatures: readonly string[];
  /** The content address as text, when the path has one. A hint until the path was recomputed from it. */
  readonly ca?: string;
}

/** The signatures of two infos of one path together, without duplicates, in Nix's order. */
export function mergeSignatures(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length + b.length === 1) return a.length === 1 ? a : b;
  return [...new Set([...a, ...b])].sort();
}
