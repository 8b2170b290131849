/** From where a pull takes what is on this machine already. */

import { join } from 'node:path';
import type { OpenStore } from '../../cache/delta/local-paths.js';
import type { DeltaOptions } from '../../cache/delta/session.js';
import { DEFAULT_STORE_DIR } from '../../lib/nix/store-path.js';
import { stateDirectory } from '../../lib/state-directory.js';
import { openNixStore } from '../../lib/store/nix/store.js';
import { NIX, openStoreForWriting } from '../../lib/store/open.js';
import { withoutDamagedMetadata } from '../../lib/store/own/own-store.js';
import type { Store } from '../../lib/store/store.js';
import type { Context } from '../cli/context.js';

/** The store that is pulled into, carport's own at its usual place, and the system's Nix. */
export function deltaOptions(store: Store, selection: string | undefined, { env }: Context): DeltaOptions {
  const others = [...(selection === undefined ? [] : [own(env)]), ...(selection === NIX ? [] : [nix(env)])];
  return takingFrom([async () => store, ...others], store.storeDir, env);
}

/** For a server of the system's Nix: what that has, and carport's own store at its usual place. */
export function localDelta({ env }: Context): DeltaOptions {
  return takingFrom([nix(env), own(env)], DEFAULT_STORE_DIR, env);
}

function takingFrom(stores: readonly OpenStore[], storeDir: string, env: NodeJS.ProcessEnv): DeltaOptions {
  return { stores, storeDir, memory: join(stateDirectory(env), 'local-chunks') };
}

function own(env: NodeJS.ProcessEnv): OpenStore {
  return async () => withoutDamagedMetadata(openStoreForWriting(undefined, env));
}

function nix(env: NodeJS.ProcessEnv): OpenStore {
  return () => openNixStore(env);
}
