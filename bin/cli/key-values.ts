/** Lays out facts for people: a key and its value a line. */

/** A key and its value; one without a value is not shown. */
export type KeyValue = readonly [key: string, value: string | number | boolean | null | undefined];

/** A line for each pair that has a value; the values begin in one column, `width` characters from the left. */
export function keyValueLines(pairs: readonly KeyValue[], width: number): readonly string[] {
  return pairs
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${`${key}:`.padEnd(width)}${value}`);
}
