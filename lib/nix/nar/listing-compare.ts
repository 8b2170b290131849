/** Compares listings of NARs with each other, and with the size of a NAR. */

import { CarportError } from '../../errors.js';
import { MAGIC_LENGTH, paddedLength, wireLength } from './encode.js';
import { type NarListing, parseListing } from './listing.js';

/** Whether two texts of `.ls` files say the same. Where one of them tells no offsets these are not compared. */
export function sameListing(a: string, b: string): boolean {
  try {
    return isSame(parseListing(a), parseListing(b));
  } catch (error) {
    if (error instanceof CarportError) return false;
    throw error;
  }
}

function isSame(a: NarListing, b: NarListing): boolean {
  if (a.type === 'symlink') return b.type === 'symlink' && a.target === b.target;
  if (a.type === 'regular') {
    if (b.type !== 'regular' || a.size !== b.size || a.executable !== b.executable) return false;
    return a.narOffset === undefined || b.narOffset === undefined || a.narOffset === b.narOffset;
  }
  if (b.type !== 'directory' || a.entries.size !== b.entries.size) return false;
  return [...a.entries].every(([name, node]) => {
    const other = b.entries.get(name);
    return other !== undefined && isSame(node, other);
  });
}

/** What a `contents` token and its size take, which an empty file may lack. */
const CONTENTS = 24;

/**
 * Whether a listing may be that of a NAR of this size, in bytes: names, targets and sizes tell it but for empty files, which
 * have two forms, and for names that are not UTF-8, of which nothing is known.
 */
export function fitsNarSize(listing: NarListing, narSize: number): boolean {
  let emptyFiles = 0;
  let isKnown = true;
  const text = (name: string): Uint8Array => {
    if (name.includes('\ufffd')) isKnown = false;
    return Buffer.from(name);
  };
  const sizeOf = (node: NarListing): number => {
    if (node.type === 'symlink') return wireLength({ type: 'symlink', target: text(node.target) });
    const end = wireLength({ type: 'end' });
    if (node.type === 'regular') {
      if (node.size === 0) emptyFiles++;
      return wireLength({ type: 'regular', executable: node.executable, size: node.size }) + end;
    }
    let size = wireLength({ type: 'directory' }) + end;
    for (const [name, child] of node.entries) size += wireLength({ type: 'entry', name: text(name) }) + sizeOf(child);
    return size;
  };
  // Each node is closed, and so is its entry; the root has none.
  const size = MAGIC_LENGTH + sizeOf(listing) - (8 + paddedLength(1));
  const less = size - narSize;
  return !isKnown || less === 0 || (less > 0 && less % CONTENTS === 0 && less / CONTENTS <= emptyFiles);
}
