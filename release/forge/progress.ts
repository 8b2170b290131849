/** How far the files of a forge are: what is sent or read once more, after a fault or for another run, is not counted once more. */

import type { ActivityEvent, Emit } from '../../lib/work.js';

/** Passes events on: of progress only as many bytes as were announced (`total`), and each item once. */
export function countOnce(total: number, emit: Emit<ActivityEvent>): Emit<ActivityEvent> {
  let left = total;
  const finished = new Set<string>();
  return (event) => {
    if (event.type === 'progress' && event.bytes !== undefined) {
      const bytes = Math.min(left, event.bytes);
      left -= bytes;
      if (bytes > 0 || event.items !== undefined) emit({ ...event, bytes });
      return;
    }
    if (event.type === 'item-started' && finished.has(event.name)) return;
    if (event.type === 'item-finished') {
      if (finished.has(event.name)) return;
      finished.add(event.name);
    }
    emit(event);
  };
}
