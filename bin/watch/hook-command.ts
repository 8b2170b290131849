/** Declares the command `hook`. */

import type { Command } from 'commander';
import { CarportError } from '../../lib/errors.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf } from '../declaration/options.js';
import { PUSH_BESIDE_OPTIONS } from '../push/options.js';

const OPTIONS = [
  ...PUSH_BESIDE_OPTIONS,
  flag('--print-script', "print a script for Nix's `post-build-hook`, with these options"),
  flag('--drain', 'push what is in the queue, and end when it is empty'),
];

export type HookOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      "For Nix's `post-build-hook`: hands what was built to a queue on disk, and starts one process beside the builds that pushes it. Neither waits for the cache, and what is in the queue survives a reboot.",
    examples: [
      'sudo carport hook --to file:///srv/cache --secret-key /etc/nix/cache.sec --print-script > /etc/nix/carport-hook',
      'OUT_PATHS=/nix/store/HASH-NAME carport hook --to file:///srv/cache --secret-key cache.sec',
      'carport hook --to file:///srv/cache --secret-key cache.sec --drain',
    ],
    arguments: [argument('[paths...]', 'store paths; without any, those that Nix names in OUT_PATHS')],
    options: OPTIONS,
    refuse(isGiven) {
      if (!isGiven('drain') || !isGiven('printScript')) return;
      throw new CarportError('E_USAGE', '`--drain` and `--print-script` do not go together');
    },
    run: async (...values) => (await import('./hook.js')).run(...values, context),
  });
}
