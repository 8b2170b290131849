/** Medians and ratios. */

/** The middle of some values. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** A ratio of medians, and the least and largest ratio of one round. */
export interface Ratio {
  readonly ratio: number;
  readonly least: number;
  readonly most: number;
}

/** Compares what was measured in turns: values of one index are of one round. */
export function compare(own: readonly number[], peer: readonly number[]): Ratio {
  const each = own.map((value, index) => value / peer[index]!);
  return { ratio: median(own) / median(peer), least: Math.min(...each), most: Math.max(...each) };
}
