/** Declares the command `completion`. */

import type { Command } from 'commander';
import { type Context, write } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
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
    run: async (shell) => write(context.stdout, renderCompletion(shell, await loadAll())),
  });
}
