/** What is remembered from run to run. */

import { join } from 'node:path';
import { xdgDirectory } from './home-directory.js';

/** Where carport remembers from one run to the next what is not worth a place of its own: `$XDG_STATE_HOME/carport`. */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  return join(xdgDirectory(env, 'XDG_STATE_HOME', '.local/state'), 'carport');
}
