/** What the commands that run a program are declared with. */

import { argument } from '../declaration/arguments.js';
import { PULL_FROM } from '../declaration/buckets.js';
import { type OptionsOf, setting } from '../declaration/options.js';
import { PIN_READ_OPTIONS } from '../pin/options.js';
import { FROZEN, NO_DELTA, TOOLCHAIN_WORDS } from '../project/options.js';

/** What is run with. */
export const TARGETS = argument(
  '[what...]',
  `${TOOLCHAIN_WORDS}, pins that were pulled, store paths, their base names or hash parts, links; without any, all toolchains of the project`,
);

/** Those of a pull, for what is not here yet. */
export const FETCH_OPTIONS = [
  PULL_FROM,
  setting('trusted-keys'),
  ...PIN_READ_OPTIONS,
  NO_DELTA,
  setting('jobs'),
  setting('retry-seconds'),
  setting('store'),
];

export const RUN_OPTIONS = [...FETCH_OPTIONS, FROZEN];

export type FetchOptions = OptionsOf<typeof FETCH_OPTIONS>;

export type RunCommandOptions = OptionsOf<typeof RUN_OPTIONS>;
