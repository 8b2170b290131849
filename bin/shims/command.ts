/** Declares the command `shims`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf } from '../declaration/options.js';
import { RUN_OPTIONS, TARGETS } from '../run/options.js';

const OPTIONS = [
  flag('--remove', 'remove the scripts that carport has made there, and what keeps their toolchain'),
  ...RUN_OPTIONS,
];

export type ShimsOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Makes a small script for each program of a toolchain, which runs that as `carport run` does, in a few milliseconds: for editors, debuggers and `make CC=…`. The toolchain is kept from garbage collection while the directory is there. Run it again to renew the scripts.',
    examples: ['carport shims ~/bin/gcc-14 toolchain', 'carport shims ./shims', 'carport shims --remove ./shims'],
    arguments: [argument('<directory>', 'where the scripts are made', { parse: checkPath }), TARGETS],
    options: OPTIONS,
    run: async (...values) => (await import('./shims.js')).shims(...values, context),
  });
}
