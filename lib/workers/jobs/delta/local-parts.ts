/** Chunks of trees that are here, as another NAR has them. */

import { createHashPartFinder } from '../../../compression/chunks/hash-parts.js';
import { rebuildChunk } from '../../../compression/chunks/view.js';
import { CarportError, hasCode } from '../../../errors.js';
import type { AssemblyPart, LocalTree, LocalTrees } from './assembly.js';
import { type NarRanges, openNarRanges } from './nar-ranges.js';

/** A part that is here. */
export type LocalPart = AssemblyPart & Required<Pick<AssemblyPart, 'from'>>;

/** Reads parts of trees; each thread has one of its own, since trees are gone through in order. */
export function createLocalParts({ trees, list }: LocalTrees) {
  const open = new Map<number, ReturnType<typeof openTree>>();
  const treeOf = (index: number) => {
    const tree = open.get(index) ?? openTree(trees[index]!);
    open.set(index, tree);
    return tree;
  };
  return {
    /** Fills memory with parts, which have as many bytes; what is here and does not fit is an `E_INTEGRITY`. */
    read(parts: readonly LocalPart[], into: Uint8Array): void {
      let at = 0;
      for (const { size, from } of parts) {
        const chunk = into.subarray(at, at + size);
        const { ranges, finder } = treeOf(from.tree);
        readHere(ranges, chunk, from.offset);
        if (!rebuildChunk(chunk, finder, from.references, list)) throw unfit(trees[from.tree]!);
        at += size;
      }
    },
    close(): void {
      for (const { ranges } of open.values()) ranges.close();
    },
  };
}

function openTree({ path, list }: LocalTree) {
  return { ranges: openNarRanges(path), finder: createHashPartFinder(list) };
}

/** Fills memory with bytes of a NAR that is here; where that fails it is an `E_INTEGRITY`. */
export function readHere(ranges: NarRanges, into: Uint8Array, offset: number): void {
  try {
    ranges.read(into, offset);
  } catch (cause) {
    throw hasCode(cause, 'E_IO') ? unreadable(cause) : cause;
  }
}

/** An `E_IO` would be said of where the NAR goes as well. */
function unreadable(cause: CarportError): CarportError {
  return new CarportError('E_INTEGRITY', cause.message, { cause: cause.cause, hint: cause.hint });
}

function unfit({ path }: LocalTree): CarportError {
  return new CarportError('E_INTEGRITY', `\`${path}\` has not the hash parts that a table says`);
}
