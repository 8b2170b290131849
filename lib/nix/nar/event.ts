/** A file tree as events, and the limits of it. */

import { formatError } from '../../errors.js';

/**
 * One step through a file tree in the order of its NAR. Every node is one of: `symlink`; `regular`, its `contents` (in
 * pieces, together `size` bytes), `end`; `directory`, for each child an `entry` and the child's node, `end`.
 * Names and targets are bytes: they need not be UTF-8. The bytes of `contents` are valid until the next event only.
 */
export type NarEvent =
  | { readonly type: 'directory' }
  | { readonly type: 'entry'; readonly name: Uint8Array }
  | {
      readonly type: 'regular';
      readonly executable: boolean;
      readonly size: number;
      /** An empty file may leave the token `contents` out; Nix never does. */
      readonly withoutContents?: boolean;
    }
  | { readonly type: 'contents'; readonly bytes: Uint8Array }
  | { readonly type: 'symlink'; readonly target: Uint8Array }
  | { readonly type: 'end' };

/** Nix's limits since 2.28.7 (libutil/archive.cc). */
export const NAR_LIMITS = { depth: 64, name: 255, target: 4095 } as const;

export const NAR_MAGIC = 'nix-archive-1';

/** Returns `name` when a directory entry may have it. */
export function checkEntryName(name: Uint8Array): Uint8Array {
  const text = Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
  if (text === '') throw formatError('NAR', 'an entry has an empty name');
  if (text === '.' || text === '..') throw formatError('NAR', `an entry is named \`${text}\``);
  if (text.includes('/')) throw formatError('NAR', `the entry name \`${text}\` has a slash`);
  if (text.includes('\0')) throw formatError('NAR', 'an entry name has a NUL byte');
  if (name.length > NAR_LIMITS.name) throw formatError('NAR', `an entry name has ${name.length} bytes, over 255`);
  return name;
}

/** Returns `target` when a symlink may have it. */
export function checkSymlinkTarget(target: Uint8Array): Uint8Array {
  if (target.length === 0) throw formatError('NAR', 'a symlink has an empty target');
  if (target.length > NAR_LIMITS.target) {
    throw formatError('NAR', `a symlink target has ${target.length} bytes, over ${NAR_LIMITS.target}`);
  }
  if (target.includes(0)) throw formatError('NAR', 'a symlink target has a NUL byte');
  return target;
}

/** Checks that `name` comes after `previous` bytewise, which also refuses duplicates. */
export function checkEntryOrder(previous: Uint8Array | undefined, name: Uint8Array): void {
  if (previous === undefined) return;
  const order = Buffer.compare(previous, name);
  if (order === 0) throw formatError('NAR', `the entry \`${Buffer.from(name)}\` is there twice`);
  if (order > 0) throw formatError('NAR', `directory is not sorted: \`${Buffer.from(name)}\` comes too late`);
}

/** Checks that a node at `depth` (the root is 0) may exist. */
export function checkDepth(depth: number): void {
  if (depth >= NAR_LIMITS.depth)
    throw formatError('NAR', `is nested deeper than the ${NAR_LIMITS.depth} levels that Nix allows`);
}
