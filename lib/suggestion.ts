/** Did you mean …? */

/** `did you mean …?` for a word that is near one of `known`, otherwise the list of them. */
export function suggestion(word: string, known: readonly string[]): string {
  const best = nearest(word, known);
  if (best !== undefined) return `did you mean \`${best}\`?`;
  return `known are ${known.map((name) => `\`${name}\``).join(', ')}`;
}

/** The one of `known` that a word was probably meant to be, if any. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const best = known
    .map((candidate) => ({ candidate, distance: editDistance(word, candidate) }))
    .sort((a, b) => a.distance - b.distance)[0];
  if (best && best.distance <= farFrom(word, best.candidate)) return best.candidate;
  // Who types the beginning of a word means it.
  const begun = known.filter((candidate) => word.length >= 3 && candidate.startsWith(word));
  return begun.length === 1 ? begun[0] : undefined;
}

/** The most that may be mistyped. Of a short word nearly all are near: but not nearly all have the same letters. */
function farFrom(word: string, candidate: string): number {
  const letters = (text: string) => [...text].sort().join('');
  if (word.length <= 4) return letters(word) === letters(candidate) ? 2 : 1;
  return Math.max(2, Math.floor(word.length / 3));
}

/** Levenshtein's distance, row by row, where two letters that are exchanged count once. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  let above = row;
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isExchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next.push(Math.min(change, row[j]! + 1, next[j - 1]! + 1, isExchanged ? above[j - 2]! + 1 : change));
    }
    [above, row] = [row, next];
  }
  return row[b.length]!;
}
