import type { CommonOptions, Context } from '../context.js';

export interface PutOptions extends CommonOptions {
  readonly target?: string;
  readonly tag?: string;
  readonly commit?: string;
  readonly name?: string;
  readonly replace?: boolean;
  readonly contentType?: string;
  readonly cacheControl?: string;
  readonly dryRun?: boolean;
  readonly allowUnsigned?: boolean;
}

export async function put(_files: readonly string[], _options: PutOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
