/** Narinfos for a server, by batches where many of one are wanted; what lacks a signature that others of its batch have is asked for by itself. */

import type { NarInfo } from '../../lib/nix/narinfo.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { signatureKeyName } from '../../lib/signing/signature.js';
import { toldBatch } from '../batches/field.js';
import { type BatchReader, createBatchReader } from '../batches/reader.js';
import { readNarInfo } from '../binary-cache.js';
import type { FoundPath } from '../find-path.js';

/** Reads the narinfos of caches. */
export interface Hints {
  /** As `readNarInfo`; what a batch says is given only where `isGood` accepts it. */
  read(objects: ObjectStore, hashPart: string, isGood: (info: NarInfo) => boolean): Promise<NarInfo | undefined>;
  /** Learns where what a path refers to may lie, of a narinfo that takes so many bytes. */
  learn(found: FoundPath, size: number): void;
}

/**
 * What is known of batches is thrown away when nobody has asked for so long, and after so long or with so many bytes of narinfos in any
 * case: Nix asks for a closure at once, and batches change.
 */
const IDLE_MS = 10_000;
const OLD_MS = 5 * 60_000;
const MOST_LEARNED = 16 * 1024 * 1024;

/** Bytes of texts of batches that are kept for what may still be asked for. */
const ROOM = 16 * 1024 * 1024;

/** What is known for a while. */
interface Run {
  readonly reader: BatchReader;
  /** Names of keys that have signed narinfos, by the batch that these name. */
  readonly signers: Map<string, Set<string>>;
  readonly begun: number;
  usedAt: number;
  learned: number;
}

/** `now` is in milliseconds, by any clock that does not go back. */
export function createHints(now: () => number): Hints {
  const begin = (time: number): Run => ({
    ...{ reader: createBatchReader(ROOM), signers: new Map(), begun: time, usedAt: time, learned: 0 },
  });
  let current = begin(now());
  const run = (): Run => {
    const time = now();
    const { begun, usedAt, learned } = current;
    if (time - usedAt > IDLE_MS || time - begun > OLD_MS || learned > MOST_LEARNED) current = begin(time);
    current.usedAt = time;
    return current;
  };
  return {
    async read(objects, hashPart, isGood) {
      const { reader, signers } = run();
      const { info, isHint } = await reader.read(objects, hashPart);
      return isHint && !(isGood(info) && isSignedAsOthers(info, signers)) ? readNarInfo(objects, hashPart) : info;
    },
    learn({ info, objects }, size) {
      const { reader, signers } = current;
      current.learned += size;
      noteSigners(info, signers);
      reader.learn(objects, info);
    },
  };
}

function noteSigners(info: NarInfo, signers: Run['signers']): void {
  const batch = toldBatch(info);
  if (batch === undefined) return;
  const names = signers.get(batch.name) ?? new Set();
  for (const signature of info.signatures) names.add(signatureKeyName(signature));
  signers.set(batch.name, names);
}

/**
 * Whether who has signed others of its batch has signed it, too. Another program may sign narinfos and leave their batch as it is, and whose
 * signature Nix wants is not known here.
 */
function isSignedAsOthers(info: NarInfo, signers: Run['signers']): boolean {
  const batch = toldBatch(info);
  const wanted = batch && signers.get(batch.name);
  if (wanted === undefined) return false;
  const names = new Set(info.signatures.map(signatureKeyName));
  return [...wanted].every((name) => names.has(name));
}
