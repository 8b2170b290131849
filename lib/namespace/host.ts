/** What the machine has in `/` and `/nix`. */

import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isStoreBaseName } from '../nix/store-path.js';
import { rawBytes, rawText } from '../raw-text.js';

/** What the machine has of a directory that a new one will stand for. */
export interface HostEntry {
  readonly name: string;
  /** Of a symbolic link. */
  readonly target?: string;
}

export interface Host {
  /** Of `/`, without `nix`; needed where `/nix` cannot be mounted over. */
  readonly top: readonly HostEntry[];
  /** Of `/nix`, without `store`; `undefined` when `/nix` is not a directory. */
  readonly nix: readonly HostEntry[] | undefined;
  /** Names of store paths in `/nix/store`. */
  readonly storeNames: readonly string[];
}

export async function lookAtHost(): Promise<Host> {
  const nixIsDirectory = (await lstat('/nix').catch(() => undefined))?.isDirectory() ?? false;
  const storeNames = (await readdir('/nix/store').catch(() => [])).filter(isStoreBaseName);
  if (!nixIsDirectory) return { top: await entriesOf('/', 'nix'), nix: undefined, storeNames };
  return { top: [], nix: await entriesOf('/nix', 'store'), storeNames };
}

/** What can be looked at: a file system of somebody else, or one that is gone, is left out. */
async function entriesOf(directory: string, without: string): Promise<readonly HostEntry[]> {
  const all = (await readdir(directory, 'buffer').catch(() => [])).map(rawText);
  const names = all.filter((name) => name !== without).sort();
  const entries = names.map(async (name): Promise<readonly HostEntry[]> => {
    const path = rawBytes(join(directory, name));
    try {
      return (await lstat(path)).isSymbolicLink()
        ? [{ name, target: rawText(await readlink(path, 'buffer')) }]
        : [{ name }];
    } catch {
      return [];
    }
  });
  return (await Promise.all(entries)).flat();
}
