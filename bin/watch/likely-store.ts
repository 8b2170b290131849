/** Where the store is that is meant, without asking Nix: that takes longer than to start a build. */

import { placeOfUri } from '../../lib/store/nix/place.js';
import { defaultStoreRoot, storeLayout } from '../../lib/store/own/layout.js';

/** The directories that `--store` means, most likely: Nix's settings may name another. */
export function likelyStoreDirs(selection: string | undefined, env: NodeJS.ProcessEnv): readonly string[] {
  if (selection !== undefined && selection !== 'nix') return [storeLayout(selection).realStoreDir];
  return [placeOfUri(env.NIX_REMOTE ?? '', env).realStoreDir, storeLayout(defaultStoreRoot(env)).realStoreDir];
}
