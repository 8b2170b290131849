import { expect, it } from 'vitest';
import { whyKept } from '#bin/release/prune.js';
import type { KeptReason } from '#release/prune/plan.js';

const cases: readonly (readonly [KeptReason, string])[] = [
  [{ reason: 'being-put' }, 'something of it was put within the last hour'],
  [
    { reason: 'half-deleted' },
    'something of it was put while it was being deleted: remove `carport/prunings/v1.json`, and put it again',
  ],
  [{ reason: 'name' }, 'no version of carport is called so'],
  [{ reason: 'promotion', becomes: 'v2' }, '`v2` was made of it'],
  [{ reason: 'promotion', becomes: 'v1' }, 'it is being made of another'],
  [{ reason: 'pin', pin: 'tool' }, 'the pin `tool` has a path of it'],
  [{ reason: 'newest', keep: 3 }, 'it is one of the newest 3'],
  [{ reason: 'young' }, 'it is young enough'],
  [{ reason: 'latest' }, 'it is the latest of its channel'],
];

it.each(cases)('says why a release was kept: %o', (reason, why) => {
  expect(whyKept({ version: 'v1', ...reason })).toBe(why);
});
