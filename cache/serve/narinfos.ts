/** What the caches behind a server say of paths, and what the server says of them. */

import { CarportError } from '../../lib/errors.js';
import { formatHash } from '../../lib/nix/hash.js';
import { type NarInfo, parseNarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PublicKey } from '../../lib/signing/key.js';
import { verifyPath } from '../../lib/signing/signature.js';
import { inBatch } from '../batches/field.js';
import { readNarInfo } from '../binary-cache.js';
import type { FoundPath } from '../find-path.js';
import { servedNarKey } from '../layout.js';
import { createHints } from './hints.js';
import { createMemory } from './memory.js';
import type { Upstreams } from './upstreams.js';

export interface NarInfosOptions {
  readonly upstreams: Upstreams;
  /** Of several caches one is preferred whose narinfo one of these has signed. */
  readonly keys: readonly PublicKey[];
  now(): number;
}

export interface NarInfos {
  /** What is said of a path, as a cache said it a while ago. */
  find(hashPart: string): Promise<FoundPath | undefined>;
  /** The caches that have this very NAR, the one of `find` first; the others are asked when they are wanted. */
  having(hashPart: string, narHash: string): AsyncGenerator<FoundPath>;
}

/** Bytes of narinfos that are remembered, and for how long: a path may get more signatures, or come. */
const ROOM = 32 * 1024 * 1024;
const FOUND_MS = 5 * 60_000;
const NOT_FOUND_MS = 3_000;

/** What an entry takes beside its text, and each value of a list. */
const ENTRY_SIZE = 1024;
const VALUE_SIZE = 128;

/** Who sends a larger one is asked again: Nix has none of that size but for some thousand references. */
const LARGEST = 128 * 1024;

export function createNarInfos({ upstreams, keys, now }: NarInfosOptions): NarInfos {
  const memory = createMemory<{ readonly found: FoundPath | undefined }>({ room: ROOM, now });
  const asking = new Map<string, Promise<FoundPath | undefined>>();
  const hints = createHints(now);
  const isPreferred = (info: NarInfo) => keys.length === 0 || verifyPath(info, keys).state === 'valid';

  const keep = (hashPart: string, found: FoundPath | undefined): void => {
    if (found === undefined) return void memory.keep(hashPart, { found }, ENTRY_SIZE, NOT_FOUND_MS);
    const { info, objects } = found;
    // What was parsed may hold all of its text, whatever else is in that.
    const text = renderedAgain(info);
    if (text === undefined) return;
    const values = info.references.length + info.signatures.length + info.unknownFields.length;
    const size = ENTRY_SIZE + text.length + values * VALUE_SIZE;
    if (size > LARGEST) return;
    const kept = { info: parseNarInfo(text), objects };
    memory.keep(hashPart, { found: kept }, size, FOUND_MS);
    hints.learn(kept, size);
  };
  const ask = async (hashPart: string): Promise<FoundPath | undefined> => {
    let other: FoundPath | undefined;
    const preferred = await upstreams.firstOf(async (objects) => {
      const info = await hints.read(objects, hashPart, isPreferred);
      if (info === undefined) return undefined;
      if (isPreferred(info)) return { info, objects };
      // Nix decides whom it trusts.
      other ??= { info, objects };
      return undefined;
    });
    const found = preferred ?? other;
    keep(hashPart, found);
    return found;
  };
  const find = async (hashPart: string): Promise<FoundPath | undefined> => {
    const kept = memory.get(hashPart);
    if (kept) return kept.found;
    const asked = asking.get(hashPart) ?? ask(hashPart).finally(() => asking.delete(hashPart));
    asking.set(hashPart, asked);
    return asked;
  };
  return {
    find,
    async *having(hashPart, narHash) {
      const isWanted = (info: NarInfo) => formatHash(info.narHash, 'nix32') === narHash;
      const first = await find(hashPart);
      if (first && isWanted(first.info)) yield first;
      // What was said a while ago may not be so any more.
      memory.forget(hashPart);
      for (const objects of await upstreams.inOrder()) {
        const info = await readAgain(objects, hashPart, upstreams);
        const isNew = objects !== first?.objects || info?.url !== first.info.url;
        if (info && isNew && isWanted(info)) yield { info, objects };
      }
    },
  };
}

/** `undefined` for what cannot be written as it was read. */
function renderedAgain(info: NarInfo): string | undefined {
  try {
    return renderNarInfo(info);
  } catch (error) {
    if (error instanceof CarportError) return undefined;
    throw error;
  }
}

async function readAgain(objects: ObjectStore, hashPart: string, upstreams: Upstreams): Promise<NarInfo | undefined> {
  try {
    return await readNarInfo(objects, hashPart);
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    upstreams.failed(objects, error);
    return undefined;
  }
}

/** The narinfo as it is served: all that is signed, and the signatures, are as they were. No batch is served. */
export function servedNarInfo(info: NarInfo): string {
  const { path, narHash, narSize } = info;
  const url = servedNarKey({ hashPart: hashPartOf(path), narHash: formatHash(narHash, 'nix32') });
  const file = { url, compression: 'none', fileHash: narHash, fileSize: narSize };
  return renderNarInfo(inBatch({ ...info, ...file }, undefined));
}
