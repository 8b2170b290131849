/** Joins very many pieces of text into one, in little memory. */

/** Pieces that are put together at a time. */
const AT_ONCE = 100;

/** A text of very many pieces, which are not all in memory beside it. */
export function joinPieces(pieces: Iterable<string>): string {
  const parts: string[] = [];
  let held: string[] = [];
  for (const piece of pieces) {
    if (held.push(piece) < AT_ONCE) continue;
    parts.push(held.join(''));
    held = [];
  }
  return [...parts, ...held].join('');
}
