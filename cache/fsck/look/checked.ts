/**
 * Which NARs a check has read, in a file of this machine: one that was stopped goes on where it was. An object counts as what it was:
 * its key, size, time and MD5, and what its narinfo promises. When a check ends, the file goes: the next one reads all again.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDirectory } from '../../../lib/filesystem/make-directory.js';
import { renderHash } from '../../../lib/nix/hash.js';
import type { NarInfo } from '../../../lib/nix/narinfo.js';
import { createHashParts, PACKED } from '../../gc/hash-parts.js';

/** First of the file; another form has another. */
const MAGIC = Buffer.from('carport checked 1\n');

/** What a check has read, as long as it runs and, where it was stopped, in the next one. */
export interface CheckedNars {
  /** How many an earlier run has left. */
  readonly known: number;
  has(identity: Uint8Array): boolean;
  /** Notes one that is as it should be. */
  add(identity: Uint8Array): Promise<void>;
  /** Forgets all: the check has come to its end. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

/** What tells a NAR with its narinfo from any other, 20 bytes. */
export function identityOf(
  { narHash, narSize, compression, fileHash, fileSize }: NarInfo,
  object: { readonly key: string; readonly size: number; readonly modified: number },
): Uint8Array {
  const { key, size, modified } = object;
  const promise = [renderHash(narHash), narSize, compression, fileHash && renderHash(fileHash), fileSize];
  return createHash('sha256')
    .update(JSON.stringify([key, size, modified, ...promise]))
    .digest()
    .subarray(0, PACKED);
}

/** Opens what is remembered of a cache. Where this machine's directory cannot be written to it lasts as long as the run. */
export async function openCheckedNars(directory: string, url: string): Promise<CheckedNars> {
  const path = join(directory, createHash('sha256').update(url).digest('hex').slice(0, 32));
  const before = await readBefore(path);
  const file = await openForAppending(directory, path, before === undefined).catch(() => undefined);
  const earlier = createHashParts();
  for (let at = 0; at + PACKED <= (before?.length ?? 0); at += PACKED) earlier.addPacked(before!, at);
  earlier.index();
  const now = new Set<string>();
  return {
    known: earlier.length,
    has: (identity) => earlier.findPacked(identity, 0) >= 0 || now.has(textOf(identity)),
    async add(identity) {
      now.add(textOf(identity));
      await file?.appendFile(identity).catch(() => undefined);
    },
    async forget() {
      await rm(path, { force: true }).catch(() => undefined);
    },
    close: async () => file?.close(),
  };
}

function textOf(identity: Uint8Array): string {
  return Buffer.from(identity).toString('latin1');
}

/** Whole records only: a run that was killed may have left a part of one. */
async function readBefore(path: string): Promise<Buffer | undefined> {
  const all = await readFile(path).catch(() => undefined);
  if (!all?.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const records = all.subarray(MAGIC.length);
  return records.subarray(0, records.length - (records.length % PACKED));
}

async function openForAppending(directory: string, path: string, isNew: boolean): Promise<FileHandle> {
  await makeDirectory(directory);
  const file = await open(path, isNew ? 'w' : 'r+', 0o600);
  if (isNew) await file.writeFile(MAGIC);
  else {
    const { size } = await file.stat();
    await file.truncate(size - ((size - MAGIC.length) % PACKED));
    await file.close();
    return open(path, 'a', 0o600);
  }
  return file;
}
