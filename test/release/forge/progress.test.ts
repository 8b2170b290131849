import { expect, it } from 'vitest';
import type { ActivityEvent } from '#lib/work.js';
import { countOnce } from '#release/forge/progress.js';

it('what is sent again is not counted again, so that there are never more bytes or files than there were to be', () => {
  const told: ActivityEvent[] = [];
  const emit = countOnce(10, (event) => told.push(event));
  const item = { name: 'tool', size: 5 };
  for (let times = 0; times < 3; times++) {
    emit({ type: 'item-started', ...item });
    emit({ type: 'progress', bytes: 4 });
    emit({ type: 'item-finished', ...item });
  }
  emit({ type: 'warning', message: 'slow' });
  emit({ type: 'progress', bytes: 4 });
  expect(told).toEqual([
    { type: 'item-started', ...item },
    { type: 'progress', bytes: 4 },
    { type: 'item-finished', ...item },
    { type: 'progress', bytes: 4 },
    { type: 'progress', bytes: 2 },
    { type: 'warning', message: 'slow' },
  ]);
});
