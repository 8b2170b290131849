/** Declares the command `serve`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { NO_DELTA } from '../project/options.js';
import { integer } from '../settings/parsers.js';

const OPTIONS = [
  PULL_FROM,
  setting('trusted-keys'),
  option('--listen <address>', 'address and port, which are to be of loopback (default: "127.0.0.1:5000")', {
    parse: async (text: string, place: string) => (await import('./listen.js')).checkListen(text, place),
  }),
  flag('--allow-remote', 'listen also where other machines reach it: they get what is in private caches, too'),
  flag('--offline-ok', 'take caches that do not answer for empty ones, and wait for them for 5 seconds only'),
  NO_DELTA,
  option('--priority <number>', "the server's own among the substituters of Nix (default: the best of its caches)", {
    parse: integer(0, 1_000_000),
  }),
  setting('jobs'),
  setting('retry-seconds'),
];

export type ServeOptions = OptionsOf<typeof OPTIONS>;

export function configure(command: Command, context: Context): void {
  declareCommand(command, context, {
    description:
      'Serves caches as one binary cache on loopback, for the Nix of this machine: with its many connections, its retries and its access to private buckets; of what the machine has already it fetches only what has changed. Nix checks signatures as ever. Prints the lines for `nix.conf`. Ends when it is told to (SIGTERM, SIGINT), once the answers that run are sent.',
    examples: [
      'carport serve --from https://nix.example.org',
      "carport serve --from https://nix.example.org --from 's3://private?endpoint=https://s3.example.org' --offline-ok",
      "carport serve --from file:///srv/cache --listen '[::1]:5001' --json",
    ],
    options: OPTIONS,
    run: async (options) => (await import('./serve.js')).run(options, context),
  });
}
