/**
 * The job that takes paths from a cache in a directory, many in one go: reads and checks what the cache says of each, unpacks
 * its NAR where that is small, and registers it where it needs nothing else. What is not as it should be is left to the long
 * way, which says why.
 */

import { existsSync, writeFileSync } from 'node:fs';
import { type SmallNarReader, smallPromise } from '../../../compression/small-nar.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../../nix/narinfo.js';
import { plainNarInfo, registeredInfo } from '../../../nix/registered.js';
import { hashPartOf } from '../../../nix/store-path.js';
import { requireAcceptable } from '../../../signing/acceptable.js';
import { parsePublicKey } from '../../../signing/key.js';
import type { TrustPolicy } from '../../../signing/trust.js';
import type { TakeJob, TakenPath, TakeResult, Ticket } from '../../jobs.js';
import { type TicketFiles, ticketFiles } from '../../ticket-files.js';
import { placeTree, readInput, smallNarReader, unpackFile } from './tree.js';

/** The URL that carport and Nix give a NAR; what others write is looked at alone. */
const PLAIN_URL = /^nar\/[0-9a-z]+\.nar(\.[0-9a-z]+)?$/;

const REFUSED: TakenPath = { state: 'refused' };

/** Takes paths in their order, and gives what became of each. Fails for none of them. */
export async function takePaths(job: TakeJob): Promise<TakeResult> {
  const tickets = JSON.parse(job.tickets) as readonly Ticket[];
  const read = await smallNarReader();
  const trust = { keys: job.keys.map(parsePublicKey), allowUnsigned: job.allowUnsigned };
  const paths = tickets.map((ticket) => (read ? take(ticket, job, trust, read) : REFUSED));
  return { paths: JSON.stringify(paths) };
}

function take(ticket: Ticket, job: TakeJob, trust: TrustPolicy, read: SmallNarReader): TakenPath {
  const { storeDirs, cache } = job;
  const files = ticketFiles(storeDirs, ticket);
  const path = `${storeDirs.storeDir}/${ticket.baseName}`;
  let info: NarInfo;
  let text: string;
  try {
    if (existsSync(files.metadata)) return REFUSED;
    text = readInput(`${cache}/${hashPartOf(ticket.baseName)}.narinfo`).toString('latin1');
    info = parseNarInfo(text);
    requireAcceptable(info, { path, storeDir: storeDirs.storeDir }, trust, cache);
  } catch {
    return REFUSED;
  }
  const promise = PLAIN_URL.test(info.url) ? smallPromise(info) : undefined;
  if (promise === undefined) return { state: 'found', text };
  try {
    const file = readInput(`${cache}/${info.url}`, promise.fileSize);
    if (unpackFile(promise, file, files.tree, read)) return { ...registered(info, files), text };
  } catch {
    // As below.
  }
  return { state: 'failed', text };
}

/** Registers a tree that needs no other, and prepares that for another one. */
function registered(info: NarInfo, files: TicketFiles): TakenPath {
  const { tree, written, ...names } = files;
  try {
    const content = renderNarInfo(plainNarInfo(registeredInfo(info)));
    if (info.references.every((reference) => reference === info.path)) {
      return { state: placeTree(tree, { ...names, content }) };
    }
    writeFileSync(written, content, { flag: 'wx' });
    return { state: 'unpacked', isWritten: true };
  } catch {
    return { state: 'unpacked' };
  }
}
