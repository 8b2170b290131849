/** Where the own store keeps what. */

import { join, resolve } from 'node:path';
import { xdgDirectory } from '../../home-directory.js';
import { DEFAULT_STORE_DIR } from '../../nix/store-path.js';

/** Where carport's own store keeps what, below its root. */
export interface StoreLayout {
  readonly root: string;
  /** What store paths say. */
  readonly storeDir: string;
  /** Where they are. */
  readonly realStoreDir: string;
  /** `<hash part>.narinfo` of each valid path. */
  readonly infoDir: string;
  /** Files that say which entries of the store dir are carport's although they are not registered. */
  readonly claimsDir: string;
  /** Links to out-links, whose closures are in use. */
  readonly rootsDir: string;
  /** What names stood for when they were pulled. */
  readonly pinsDir: string;
  /** Markers of processes that write, collect garbage, or run what is here. */
  readonly activeDir: string;
  /** Files that were fetched in part. */
  readonly partialsDir: string;
  /** Nix's own state: where it is, the store dir is Nix's, too. */
  readonly nixStateDir: string;
}

export function storeLayout(root: string): StoreLayout {
  const absolute = resolve(root);
  return {
    root: absolute,
    storeDir: DEFAULT_STORE_DIR,
    realStoreDir: join(absolute, DEFAULT_STORE_DIR),
    infoDir: join(absolute, 'nix/var/carport/info'),
    claimsDir: join(absolute, 'nix/var/carport/claims'),
    rootsDir: join(absolute, 'nix/var/carport/roots'),
    pinsDir: join(absolute, 'nix/var/carport/pins'),
    activeDir: join(absolute, 'nix/var/carport/active'),
    partialsDir: join(absolute, 'nix/var/carport/partial'),
    nixStateDir: join(absolute, 'nix/var/nix'),
  };
}

/** The root that is used when none is named: `$XDG_DATA_HOME/carport`. */
export function defaultStoreRoot(env: NodeJS.ProcessEnv): string {
  return join(xdgDirectory(env, 'XDG_DATA_HOME', '.local/share'), 'carport');
}

export function infoFile(layout: StoreLayout, hashPart: string): string {
  return join(layout.infoDir, `${hashPart}.narinfo`);
}

/** Where the content of a store path is. */
export function realPathIn(layout: Pick<StoreLayout, 'storeDir' | 'realStoreDir'>, path: string): string {
  return layout.realStoreDir + path.slice(layout.storeDir.length);
}
