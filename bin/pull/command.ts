/** Declares the command `pull`. */

import type { Command } from 'commander';
import { checkPath } from '../arguments/checked-path.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { PIN_READ_OPTIONS } from '../pin/options.js';
import { FROZEN, NO_DELTA, TOOLCHAIN_WORDS } from '../project/options.js';

const OPTIONS = [
  PULL_FROM,
  setting('trusted-keys'),
  ...PIN_READ_OPTIONS,
  FROZEN,
  NO_DELTA,
  option('--out-link <path>', 'make a link to the path, which is also kept from garbage collection', {
    parse: checkPath,
  }),
  setting('store'),
  setting('jobs'),
  setting('retry-seconds'),
  flag('--dry-run', 'print the plan and what would be fetched, and look whether it is there; change nothing'),
];

export type PullOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      "Fetches the closures of store paths from binary caches into carport's own store, which needs no Nix, or with `--store nix` into the system's Nix. Prints the closure, dependencies first. Toolchains of the project's `carport.toml` are pulled as its `carport.lock` has them.",
    examples: [
      'carport pull /nix/store/HASH-NAME --from file:///srv/cache --trusted-key "$(carport key public cache.sec)"',
      'carport pull',
      'carport pull toolchain --from https://nix.example.org --trusted-key "$(cat cache.pub)"',
      'carport pull toolchain@2026-11-01 --from file:///srv/cache --out-link ./toolchain',
      'carport pull HASH-NAME --from file:///srv/cache --out-link ./toolchain',
      'carport pull HASH-NAME --from file:///srv/cache --store nix',
    ],
    arguments: [
      argument(
        '[what...]',
        `${TOOLCHAIN_WORDS}, pins, store paths, their base names or hash parts, links; \`-\` reads a list from stdin; without any, all toolchains of the project`,
      ),
    ],
    options: OPTIONS,
    run: async (...values) => (await import('./pull.js')).run(...values, context),
  });
}
