/** Completion scripts. */

import type { Command } from 'commander';
import { renderBash } from './bash.js';
import { renderFish } from './fish.js';
import { placesIn } from './places.js';
import { renderZsh } from './zsh.js';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

const RENDERERS = { bash: renderBash, zsh: renderZsh, fish: renderFish };

/** A script for a shell that completes commands, options and their values, pins and caches; files otherwise. */
export function renderCompletion(shell: Shell, program: Command): string {
  return RENDERERS[shell](placesIn(program));
}
