/** HOME and the XDG directories. */

import { homedir } from 'node:os';
import { join } from 'node:path';
import { CarportError } from './errors.js';

/** The user's home directory: HOME, or what the system's list of users says. */
export function homeDirectory(env: NodeJS.ProcessEnv): string {
  // Relative or empty, it would mean another place in each directory.
  if (env.HOME?.startsWith('/')) return env.HOME;
  try {
    return homedir();
  } catch (cause) {
    throw new CarportError('E_USAGE', 'this user has no home directory', {
      cause,
      hint: 'set HOME, or XDG_DATA_HOME, XDG_STATE_HOME and XDG_CONFIG_HOME',
    });
  }
}

/** `$XDG_…_HOME`, or what stands for it in the home directory. */
export function xdgDirectory(
  env: NodeJS.ProcessEnv,
  variable: 'XDG_DATA_HOME' | 'XDG_STATE_HOME' | 'XDG_CONFIG_HOME',
  inHome: string,
): string {
  const value = env[variable];
  return value?.startsWith('/') ? value : join(homeDirectory(env), inHome);
}
