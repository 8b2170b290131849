/** Declares the command `completion`. */

import type { Command } from 'commander';
import { type Context, write, writeLines } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { option } from '../declaration/options.js';
import { renderCompletion, SHELLS } from './completion.js';

export function configure(command: Command, context: Context, loadAll: () => Promise<Command>): void {
  declareCommand(command, context, {
    description: 'Prints the completion script of a shell.',
    examples: [
      'source <(carport completion bash)',
      'carport completion zsh > ~/.zsh/completions/_carport',
      'carport completion fish > ~/.config/fish/completions/carport.fish',
    ],
    arguments: [argument('<shell>', '', { choices: SHELLS })],
    options: [
      option('--candidates <kind>', 'for the scripts: pins or caches', { choices: ['pins', 'caches'], hidden: true }),
      option('--of <cache>', 'for the scripts: of which cache', { hidden: true }),
    ],
    async run(shell, { candidates, of }) {
      if (candidates === undefined) return write(context.stdout, renderCompletion(shell, await loadAll()));
      const { findCandidates } = await import('./candidates.js');
      await writeLines(context.stdout, await findCandidates(candidates, of, context));
    },
  });
}
