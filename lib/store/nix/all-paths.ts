/** All that is valid in the system's Nix. */

import { NIX_COMMAND, runNix } from './program.js';

/** Every valid path of the system's Nix; `undefined` where there is no Nix. Takes as long as the store is large. */
export async function allPathsOfNix(env: NodeJS.ProcessEnv): Promise<readonly string[] | undefined> {
  const output = await runNix('nix', [...NIX_COMMAND, 'path-info', '--all', '--offline'], env);
  return output?.split('\n').filter((line) => line !== '');
}
