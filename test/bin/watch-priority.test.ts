import { getPriority } from 'node:os';
import { expect, it } from 'vitest';
import { lowerPriority } from '../../bin/watch/priority.js';

it('leaves the processors to others meanwhile, and comes back where the system lets it', async () => {
  const before = getPriority();
  const restore = lowerPriority();
  const meanwhile = getPriority();
  await restore();
  // A third for good, or a tenth for a while.
  const mayComeBack = meanwhile > before + 5;
  expect(meanwhile).toBe(Math.min(before + (mayComeBack ? 10 : 5), 19));
  expect(getPriority()).toBe(mayComeBack ? before : meanwhile);
});
