import type { Channel } from '../../release/version.js';
import type { CommonOptions, Context } from '../context.js';

export interface ShowReleaseOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
}

export interface ListReleasesOptions extends ShowReleaseOptions {
  readonly channel?: Channel;
}

export async function list(_options: ListReleasesOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}

export async function show(_version: string, _options: ShowReleaseOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
