/** Rows of options that commands share which take the closure of paths. */

import { flag, option } from '../declaration/options.js';

/** Which closure is taken. */
export const CLOSURE = option('--closure <kind>', 'what to take along', {
  choices: ['runtime', 'build', 'none'],
  default: 'runtime',
});

const TOOLCHAIN_ONLY = 'the build closure without the outputs of what is named: what it takes to build them';

/** Leaves out of a build closure what is built in the end. */
export const TOOLCHAIN_ONLY_OF_BUILD = flag('--toolchain-only', TOOLCHAIN_ONLY);

/** Asks for a build closure, and leaves out of it what is built in the end. */
export const TOOLCHAIN_ONLY_AS_BUILD = flag('--toolchain-only', TOOLCHAIN_ONLY, { implies: { closure: 'build' } });
