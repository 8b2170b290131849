/** Puts the narinfos of a push or a copy together: which lie in which batch is known before the first of them is written. */

import { createHash } from 'node:crypto';
import { encodeNix32 } from '../../lib/nix/base32.js';
import { toHex } from '../../lib/nix/hash.js';
import type { PathInfo } from '../../lib/nix/path-info.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { type BatchTexts, isRefusedBatch, writeBatch } from './document.js';
import { MOST_IN_BATCH, type ToldBatch } from './field.js';
import { createWrites } from './writes.js';

/** Fewer are as soon asked for one by one. */
const FEWEST_IN_BATCH = 8;

/** Bytes of the narinfos of a batch, about: those of paths with thousands of references are large. */
const MOST_BYTES = 2 * 1024 * 1024;

/** Bytes of a name: nobody is to meet the same by chance. */
const NAME_SIZE = 15;

/** The batches of some paths, and what is to be written into them. */
export interface BatchWriter {
  /** The batch that the narinfo of a path lies in. */
  batchOf(path: string): ToldBatch | undefined;
  /** Takes the text of a narinfo. A batch is written when it has all of its narinfos. */
  add(path: string, narInfo: string): void;
  /**
   * Waits for the work that adds narinfos, and for what is being written then, however it ends. Fails where `work` does, or the store
   * cannot be reached.
   */
  finish(work?: Promise<unknown>): Promise<void>;
}

/** A batch whose narinfos come. */
interface Waiting extends ToldBatch {
  /** In the order of the batch. */
  readonly paths: readonly string[];
  readonly texts: Map<string, string>;
}

/**
 * Begins the batches of paths whose narinfos will be written, dependencies first; the names depend on the paths, their content and
 * whose keys sign them, so that the narinfos are the same whoever makes them.
 */
export function createBatchWriter(
  infos: readonly PathInfo[],
  keyNames: readonly string[],
  { objects, emit }: { readonly objects: ObjectStore; readonly emit: Emit<WarningEvent> },
): BatchWriter {
  const batches = new Map<string, Waiting>();
  for (const members of split(infos)) {
    const paths = members.map(({ path }) => path);
    const batch = { name: nameOf(members, keyNames), count: paths.length, paths, texts: new Map<string, string>() };
    for (const path of paths) batches.set(path, batch);
  }
  const writes = createWrites();
  let isRefused = false;
  const write = async ({ name, paths, texts }: Waiting): Promise<void> => {
    if (isRefused) return;
    const inOrder: BatchTexts = new Map(
      paths.map((path) => [hashPartOf(path), Buffer.from(texts.get(path)!, 'latin1')]),
    );
    texts.clear();
    try {
      await writeBatch(objects, name, inOrder);
    } catch (error) {
      if (!isRefusedBatch(error)) throw error;
      if (isRefused) return;
      isRefused = true;
      const message = `\`${objects.url}\` takes no batches of narinfos: pulls will ask for each one (${error.message})`;
      emit({ type: 'warning', message });
    }
  };
  return {
    batchOf: (path) => batches.get(path),
    add(path, narInfo) {
      const batch = batches.get(path);
      if (batch === undefined) return;
      batch.texts.set(path, narInfo);
      if (batch.texts.size === batch.count) writes.begin(() => write(batch));
    },
    finish: (work = Promise.resolve()) => writes.finish(work),
  };
}

/** Parts of about the same size, in order: neighbours are wanted together. */
function split(infos: readonly PathInfo[]): readonly (readonly PathInfo[])[] {
  if (infos.length < FEWEST_IN_BATCH) return [];
  const most = Math.ceil(infos.length / Math.ceil(infos.length / MOST_IN_BATCH));
  const parts: PathInfo[][] = [];
  let size = 0;
  for (const info of infos) {
    const last = parts.at(-1);
    size += sizeOf(info);
    if (last && last.length < most && size <= MOST_BYTES) last.push(info);
    else {
      parts.push([info]);
      size = sizeOf(info);
    }
  }
  return parts.filter(({ length }) => length >= FEWEST_IN_BATCH);
}

/** Bytes that a narinfo has, about. */
function sizeOf({ references, signatures }: PathInfo): number {
  return 700 + 60 * references.length + 120 * signatures.length;
}

function nameOf(members: readonly PathInfo[], keyNames: readonly string[]): string {
  const lines = members.map(({ path, narHash }) => `${path} ${toHex(narHash.digest)}\n`).sort();
  const hash = createHash('sha256').update(`carport-batch\n${[...keyNames].sort().join(' ')}\n`);
  for (const line of lines) hash.update(line);
  return encodeNix32(hash.digest().subarray(0, NAME_SIZE));
}
