/** Declares the command `pull`. */

import type { Command } from 'commander';
import { newPath } from '../arguments/checked-path.js';
import { describeCommand, settingOption } from '../cli/command.js';
import type { Context } from '../cli/context.js';
import { addPinReadOptions } from '../pin/options.js';
import type { PullOptions } from './request.js';

/** Loaded when it is used: help does not need it. */
const actions = () => import('./pull.js');

export function configure(command: Command, context: Context): void {
  const pull = describeCommand(
    command,
    "Fetches the closures of store paths from binary caches into carport's own store, which needs no Nix, or with `--store nix` into the system's Nix. Prints the closure, dependencies first.",
    'carport pull /nix/store/HASH-NAME --from file:///srv/cache --trusted-key "$(carport key public cache.sec)"',
    'carport pull toolchain --from https://nix.example.org --trusted-key "$(cat cache.pub)"',
    'carport pull toolchain@2026-11-01 --from file:///srv/cache --out-link ./toolchain',
    'carport pull HASH-NAME --from file:///srv/cache --out-link ./toolchain',
    'carport pull HASH-NAME --from file:///srv/cache --store nix',
  )
    .argument('<what...>', 'pins, store paths, their base names or hash parts, links; `-` reads a list from stdin')
    .addOption(settingOption('from', '<cache>'))
    .addOption(settingOption('trusted-keys', '<name:base64>'));
  addPinReadOptions(pull)
    .option(
      '--out-link <path>',
      'make a link to the path, which is also kept from garbage collection',
      newPath('--out-link'),
    )
    .addOption(settingOption('store', '<root>'))
    .addOption(settingOption('jobs', '<number>'))
    .addOption(settingOption('retry-seconds', '<number>'))
    .option('--dry-run', 'print the plan and what would be fetched, and look whether it is there; change nothing')
    .action(async (targets: readonly string[], options: PullOptions) =>
      (await actions()).run(targets, options, context),
    );
}
