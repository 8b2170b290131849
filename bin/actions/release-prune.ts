import type { Channel } from '../../release/version.js';
import type { CommonOptions, Context } from '../context.js';

export interface PruneOptions extends CommonOptions {
  readonly channel: Channel;
  readonly keep?: number;
  /** Spans, as they were typed. */
  readonly keepWithin?: string;
  readonly grace: string;
  readonly delete?: boolean;
  readonly allowUnsigned?: boolean;
}

export async function prune(_options: PruneOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
