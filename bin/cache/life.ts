/** Declares the commands of `cache` that keep one well: `sign`, `gc`, `fsck`, `erase`. */

import type { Command } from 'commander';
import type { Context } from '../cli/context.js';
import { CACHE } from '../declaration/buckets.js';
import { declareCommand } from '../declaration/command.js';
import { APPLY, DRY_RUN, PLAN_ONLY, YES, YES_IN_PROJECT } from '../declaration/destroying.js';
import { flag, type OptionsOf, option, setting } from '../declaration/options.js';
import { ALLOW_UNSIGNED } from '../pin/options.js';
import { byteSize, duration, integer } from '../settings/parsers.js';
import { CACHE_ARGUMENT, cacheToRemoveFrom, INVENTORY, namedCacheOf, parseCacheUrl } from './arguments.js';

/** Loaded when they are used: help does not need them. */
const settings = () => import('./settings.js');
const collecting = () => import('./gc.js');
const signing = () => import('./sign.js');
const checking = () => import('./fsck.js');

const SIGN_OPTIONS = [
  CACHE,
  setting('secret-key-files'),
  setting('trusted-keys'),
  option('--remove <keyname>', 'take the signatures of the key of this name away; repeatable', { repeatable: true }),
  flag('--contents', 'read the NAR of what no trusted key has signed, and sign that, too'),
  flag('--dry-run', 'say what would be signed; change nothing'),
  YES_IN_PROJECT,
  setting('jobs'),
  setting('retry-seconds'),
];

const ERASE_OPTIONS = [CACHE, YES, DRY_RUN, setting('retry-seconds')];

const MAX_HISTORY = 1000;

const GC_OPTIONS = [
  CACHE,
  APPLY,
  YES_IN_PROJECT,
  PLAN_ONLY,
  option(
    '--keep-newer-than <span>',
    'what was pushed within this time stays, and what it needs (default: that of `[retention.cache]`, else "30d")',
    { parse: duration },
  ),
  option('--max-size <size>', 'remove what was pushed least recently until the rest is no larger, such as `50GiB`', {
    parse: byteSize,
  }),
  option('--keep-history <number>', 'previous values of each pin that stay; all of them without it', {
    parse: integer(0, MAX_HISTORY),
  }),
  INVENTORY,
  setting('trusted-keys'),
  ALLOW_UNSIGNED,
  flag('--allow-rollback', 'believe a pin that is older than one that was seen before'),
  setting('retry-seconds'),
];

const FSCK_OPTIONS = [
  CACHE,
  flag('--repair', 'mend what is broken, and remove what cannot be mended; without this nothing is changed'),
  YES_IN_PROJECT,
  flag('--dry-run', 'check only: what it does without `--repair`'),
  flag('--contents', 'read all NARs, too; one that was stopped goes on where it was'),
  option('--from <cache>', 'take from this cache what a store has not', { parse: parseCacheUrl }),
  option('--keep-newer-than <span>', 'leave NARs that no narinfo names if they are younger: others may be pushing', {
    parse: duration,
    default: '0s',
  }),
  setting('store'),
  setting('trusted-keys'),
  ALLOW_UNSIGNED,
  setting('secret-key-files'),
  setting('compression'),
  setting('level'),
  setting('jobs'),
  setting('retry-seconds'),
];

export type SignOptions = OptionsOf<typeof SIGN_OPTIONS>;
export type EraseOptions = OptionsOf<typeof ERASE_OPTIONS>;
export type GcOptions = OptionsOf<typeof GC_OPTIONS>;
export type FsckOptions = OptionsOf<typeof FSCK_OPTIONS>;

export function configureLife(command: Command, context: Context): void {
  declareCommand(command.command('sign'), context, {
    description:
      'Signs all of a cache again with a new key: every path that a trusted key has signed, its pins, and the releases beside it. Takes the signatures of an old key away with `--remove`. Run again it goes on.',
    examples: [
      'carport cache sign file:///srv/cache --secret-key new.sec --trusted-key "$(cat old.pub)"',
      'carport cache sign file:///srv/cache --secret-key new.sec --remove old-1',
    ],
    arguments: [CACHE_ARGUMENT],
    options: SIGN_OPTIONS,
    run: async (word, options) => {
      const removes = options.remove !== undefined && !options.dryRun;
      const url = await cacheToRemoveFrom(word, options, { removes, context });
      await (await signing()).signCache(url, options, context);
    },
  });
  declareCommand(command.command('gc'), context, {
    description:
      'Removes what nothing needs: neither a pin, nor a release, nor a push that is under way, nor what was pushed lately. Prints the plan; `--apply` does it. Safe while others push: see docs/garbage-collection.md.',
    examples: [
      "carport cache gc 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache gc file:///srv/cache --keep-newer-than 14d --max-size 50GiB --apply',
    ],
    arguments: [CACHE_ARGUMENT],
    options: GC_OPTIONS,
    run: async (word, options) => {
      const removes = options.apply;
      const url = await cacheToRemoveFrom(word, options, { removes, context });
      await (await collecting()).collect(url, options, context);
    },
  });
  declareCommand(command.command('fsck'), context, {
    description:
      'Checks that a cache is whole: references, NARs, signatures, pins, and what else lies in it. Exits with 6 while something is broken. `--repair` mends it from a store, another cache or what is there, and removes the rest, referrers first.',
    examples: [
      'carport cache fsck file:///srv/cache --trusted-key "$(cat cache.pub)"',
      'carport cache fsck file:///srv/cache --contents --json',
      "carport cache fsck 's3://nix?endpoint=https://garage.example.org&region=garage' --repair --from https://mirror.example.org --secret-key cache.sec",
    ],
    arguments: [CACHE_ARGUMENT],
    options: FSCK_OPTIONS,
    run: async (word, options) => {
      const removes = options.repair;
      const url = await cacheToRemoveFrom(word, options, { removes, context });
      await (await checking()).fsck(url, options, context);
    },
  });
  declareCommand(command.command('erase'), context, {
    description:
      'Removes a cache: its nix-cache-info, narinfos, NARs and what carport keeps beside them. Other objects stay, and so does the bucket. Asks for the name of the bucket or directory first.',
    examples: [
      "carport cache erase 's3://nix?endpoint=https://garage.example.org&region=garage'",
      'carport cache erase file:///srv/cache --dry-run',
    ],
    arguments: [CACHE_ARGUMENT],
    options: ERASE_OPTIONS,
    run: async (word, options) => (await settings()).eraseCache(await namedCacheOf(word, options), options, context),
  });
}
