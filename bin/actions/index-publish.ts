import type { CommonOptions, Context } from '../context.js';

/** Options of commands that make an index. */
export interface IndexCommandOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
  readonly allowEmpty?: boolean;
  readonly compat?: 'garage';
}

export interface PublishIndexOptions extends IndexCommandOptions {
  readonly dryRun?: boolean;
}

export async function publish(_options: PublishIndexOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
