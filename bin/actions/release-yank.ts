import type { CommonOptions, Context } from '../context.js';

export interface UnyankOptions extends CommonOptions {}

export interface YankOptions extends CommonOptions {
  readonly reason: string;
  readonly allowUnsigned?: boolean;
}

export async function yank(_versions: readonly string[], _options: YankOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}

export async function unyank(_versions: readonly string[], _options: UnyankOptions, _context: Context): Promise<void> {
  throw new Error('to come');
}
