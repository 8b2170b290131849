/** What a pull tells of its work. */

import type { TransferEvent } from '../transfer-events.js';

/** What a pull tells of its work. */
export type PullEvent = TransferEvent<'pull'>;
