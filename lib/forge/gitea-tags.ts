/**
 * Tags that were pushed a moment ago. Gitea comes to know of a pushed tag some time after git has it, and publishes the draft of that
 * tag then, whatever it has: so no draft is made before that.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { hasCode } from '../errors.js';
import type { ForgeConnection } from './connection.js';

const Action = v.object({ op_type: v.nullish(v.string()), ref_name: v.nullish(v.string()) });

const PATIENCE_MS = 15_000;
const PAUSE_MS = 300;

/** What is told of a tag comes right before Gitea knows of it. */
const MARGIN_MS = 1000;

/** Waits until Gitea tells that the tag was pushed, and a moment more; 15 seconds at most, as some are known in other ways. */
export async function waitForTag({ urlOf, ask, signal }: ForgeConnection, tag: string): Promise<void> {
  const pause = (milliseconds: number) => sleep(milliseconds, undefined, { signal });
  const url = urlOf(['activities', 'feeds'], { limit: '50' });
  for (const begun = performance.now(); performance.now() - begun < PATIENCE_MS; await pause(PAUSE_MS)) {
    const actions = await ask({ url, nothing: [403, 404] }, v.array(Action)).catch((error: unknown) => {
      // Of those that have another kind of it the time is waited.
      if (hasCode(error, 'E_FORMAT', 'E_REMOTE')) return undefined;
      throw error;
    });
    if (actions?.some(({ op_type, ref_name }) => op_type === 'push_tag' && ref_name === `refs/tags/${tag}`)) break;
  }
  await pause(MARGIN_MS);
}
