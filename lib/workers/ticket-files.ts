/** The files that a thread makes of a path of an own store. */

import { hashPartOf } from '../nix/store-path.js';
import type { StoreDirs, Ticket } from './jobs.js';

/** Where the tree of a ticket is made, and where what it becomes. */
export interface TicketFiles {
  readonly tree: string;
  /** What will be its claim, and then its metadata, until the tree is placed. */
  readonly written: string;
  readonly path: string;
  readonly claim: string;
  readonly metadata: string;
}

/** The files of a ticket: their names are the same in all threads. */
export function ticketFiles(
  { realStoreDir, infoDir, claimsDir }: StoreDirs,
  { baseName, temporary }: Ticket,
): TicketFiles {
  const hashPart = hashPartOf(baseName);
  return {
    tree: `${realStoreDir}/${temporary}`,
    written: `${infoDir}/${temporary}`,
    path: `${realStoreDir}/${baseName}`,
    claim: `${claimsDir}/${hashPart}${temporary}`,
    metadata: `${infoDir}/${hashPart}.narinfo`,
  };
}
