/** Rows of commands that remove something: the same two for all of them. */

import { flag } from './options.js';

/** For commands that ask, or that refuse where there is nobody to ask. */
export const YES = flag('--yes', 'do not ask; needed where there is no terminal');

/** For commands that ask at a terminal, and go on elsewhere as they always did. */
export const YES_AT_TERMINAL = flag('--yes', 'do not ask; only a terminal is asked');

/** For commands that remove something of a cache when they are told to. */
export const YES_IN_PROJECT = flag('--yes', "do it also where only a project's `carport.toml` names the cache");

export const DRY_RUN = flag('--dry-run', 'print what would be removed; change nothing');

/** For commands that plan. */
export const APPLY = flag('--apply', 'remove it; without this nothing is changed');

/** What those do anyway. */
export const PLAN_ONLY = flag('--dry-run', 'print the plan; change nothing: what it does without `--apply`');
