/** From where a pull takes what is on this machine already. */

import { join } from 'node:path';
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
  const own = async () => withoutDamagedMetadata(openStoreForWriting(undefined, env));
  const others = [...(selection === undefined ? [] : [own]), ...(selection === NIX ? [] : [() => openNixStore(env)])];
  return {
    stores: [async () => store, ...others],
    storeDir: store.storeDir,
    memory: join(stateDirectory(env), 'local-chunks'),
  };
}

/** For a server of the system's Nix: what that has, and carport's own store at its usual place. */
export function localDelta({ env }: Context): DeltaOptions {
  const own = async () => withoutDamagedMetadata(openStoreForWriting(undefined, env));
  return {
    stores: [() => openNixStore(env), own],
    storeDir: DEFAULT_STORE_DIR,
    memory: join(stateDirectory(env), 'local-chunks'),
  };
}
