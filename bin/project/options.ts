/** Rows of options that commands share which use the toolchains of a project. */

import { flag } from '../declaration/options.js';

/** What arguments begin with in the help that may be toolchains of the project: completion gives their names. */
export const TOOLCHAIN_WORDS = 'toolchains of the project';

/** For CI: what is locked, or nothing. */
export const FROZEN = flag(
  '--frozen',
  'take toolchains of the project only as `carport.lock` has them: fail where it is missing or does not match `carport.toml`, and ask no pin',
);

/** Of a pull, and of what pulls. */
export const NO_DELTA = flag('--no-delta', 'fetch all of each path, and take nothing from paths that are here');
