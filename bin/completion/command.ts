/** Declares the command `completion`. */

import { Argument, type Command } from 'commander';
import { describeCommand } from '../cli/command.js';
import { type Context, write } from '../cli/context.js';
import { renderCompletion, SHELLS, type Shell } from './completion.js';

export function configure(command: Command, context: Context, loadAll: () => Promise<Command>): void {
  describeCommand(
    command,
    'Prints the completion script of a shell.',
    'source <(carport completion bash)',
    'carport completion zsh > ~/.zsh/completions/_carport',
    'carport completion fish > ~/.config/fish/completions/carport.fish',
  )
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .action(async (shell: Shell) => write(context.stdout, renderCompletion(shell, await loadAll())));
}
