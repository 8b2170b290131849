import type { Channel } from '../../release/version.js';
import type { CommonOptions, Context } from '../context.js';

export interface PromoteOptions extends CommonOptions {
  /** The channel: unlike elsewhere it is no cache. */
  readonly to: Channel;
  readonly as?: string;
  readonly cache?: string;
  readonly dryRun?: boolean;
  readonly allowUnsigned?: boolean;
}

export async function promote(_version: string, _options: PromoteOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
