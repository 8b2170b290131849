import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where carport remembers from one run to the next what is not worth a place of its own: `$XDG_STATE_HOME/carport`. */
export function stateDirectory(env: NodeJS.ProcessEnv): string {
  const state = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : join(env.HOME ?? homedir(), '.local/state');
  return join(state, 'carport');
}
