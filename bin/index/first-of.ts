/** The first lines of a long list for people, and how many more there are. */

const NAMED = 20;

/** At most 20 of these lines, and one with the number of those that are left out, if any are. */
export function firstOf(lines: readonly string[]): readonly string[] {
  const more = lines.length - NAMED;
  return more > 0 ? [...lines.slice(0, NAMED), `and ${more} more`] : lines;
}
