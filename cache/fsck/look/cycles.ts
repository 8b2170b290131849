/** Paths that refer to each other in a circle: no store has any, and Nix takes none of them. */

import type { NarInfoColumns } from '../../gc/survey.js';

/** The numbers of narinfos that lie on circles of references, or between two of them. A path may refer to itself. */
export function pathsInCycles(narInfos: NarInfoColumns): readonly number[] {
  const { length, firstReference, references } = narInfos;
  const left = new Uint8Array(length).fill(1);
  const degree = new Int32Array(length);
  const each = (number: number, visit: (to: number) => void) => {
    for (let n = firstReference[number]!; n < firstReference[number + 1]!; n++) {
      const to = references[n]!;
      if (to >= 0 && to !== number) visit(to);
    }
  };
  // First what nothing refers to goes, again and again; of the rest then what refers to nothing.
  for (let number = 0; number < length; number++) each(number, (to) => degree[to]!++);
  trim(left, degree, each);
  if (!left.includes(1)) return [];
  const referrers = new Map<number, number[]>();
  degree.fill(0);
  for (let number = 0; number < length; number++) {
    if (!left[number]) continue;
    each(number, (to) => {
      if (!left[to]) return;
      degree[number]!++;
      referrers.set(to, [...(referrers.get(to) ?? []), number]);
    });
  }
  trim(left, degree, (number, visit) => {
    for (const referrer of referrers.get(number) ?? []) visit(referrer);
  });
  const found: number[] = [];
  for (let number = 0; number < length; number++) if (left[number]) found.push(number);
  return found;
}

function trim(left: Uint8Array, degree: Int32Array, each: (number: number, visit: (to: number) => void) => void): void {
  const stack: number[] = [];
  for (let number = 0; number < left.length; number++) if (left[number] && degree[number] === 0) stack.push(number);
  for (let number = stack.pop(); number !== undefined; number = stack.pop()) {
    left[number] = 0;
    each(number, (to) => {
      if (left[to] && --degree[to]! === 0) stack.push(to);
    });
  }
}
