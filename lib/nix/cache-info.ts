/** `nix-cache-info`. */

import { formatError } from '../errors.js';

/** A cache's `nix-cache-info`. */
export interface CacheInfo {
  readonly storeDir: string;
  /** Whether clients may ask for many paths at once. */
  readonly wantMassQuery?: boolean;
  /** Lower is asked first. */
  readonly priority?: number;
}

/** Parses `nix-cache-info` (libstore/binary-cache-store.cc): unknown keys and lines without a colon are ignored. */
export function parseCacheInfo(text: string): CacheInfo {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) values.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const storeDir = checkStoreDir(values.get('StoreDir'));
  const wantMassQuery = values.get('WantMassQuery');
  const priority = values.get('Priority');
  return {
    storeDir,
    ...(wantMassQuery !== undefined && { wantMassQuery: wantMassQuery === '1' }),
    ...(priority !== undefined && { priority: parsePriority(priority) }),
  };
}

/** Renders `nix-cache-info`; what is not set is left out, as Nix does. */
export function renderCacheInfo(info: CacheInfo): string {
  return [
    `StoreDir: ${checkStoreDir(info.storeDir)}\n`,
    info.wantMassQuery === undefined ? '' : `WantMassQuery: ${info.wantMassQuery ? 1 : 0}\n`,
    info.priority === undefined ? '' : `Priority: ${info.priority}\n`,
  ].join('');
}

/** Returns the store dir when it is absolute and one line holds it. */
function checkStoreDir(storeDir: string | undefined): string {
  if (!storeDir?.startsWith('/')) throw formatError('nix-cache-info', '`StoreDir` is missing or not absolute');
  if (/[\x00-\x1f\x7f]/.test(storeDir)) throw formatError('nix-cache-info', '`StoreDir` has a control character');
  return storeDir;
}

function parsePriority(text: string): number {
  if (!/^-?[0-9]{1,9}$/.test(text)) throw formatError('nix-cache-info', `\`Priority: ${text}\` is not a number`);
  return Number(text);
}
