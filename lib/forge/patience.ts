/** Asks again for what a forge has not yet come to know of itself. */

import { setTimeout as sleep } from 'node:timers/promises';

const TRIES = 6;
const FIRST_PAUSE_MS = 250;

/** Gives the first answer that is one, after 8 seconds at most; `isLast` tells that there will be no further try. */
export async function patience<T>(
  ask: (isLast: boolean) => Promise<T | undefined>,
  signal: AbortSignal,
): Promise<T | undefined> {
  for (let attempt = 1; ; attempt++) {
    const found = await ask(attempt === TRIES);
    if (found !== undefined || attempt === TRIES) return found;
    await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 1), undefined, { signal });
  }
}
