/** What a server of caches tells of its work. */

import type { WarningEvent } from '../../lib/work.js';

export type ServeEvent =
  | WarningEvent
  /** A NAR was fetched, and is what its narinfo promised; `cache` is where its last byte came from. Sizes are bytes. */
  | { readonly type: 'nar-fetched'; readonly path: string; readonly narSize: number; readonly cache: string }
  /** A request was answered, or broken off. */
  | {
      readonly type: 'request';
      readonly method: string;
      readonly target: string;
      readonly status: number;
      readonly milliseconds: number;
      readonly failure?: string;
    };
