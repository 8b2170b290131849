/**
 * Reads narinfos of caches, by batches where many of one are wanted. A batch is a hint: what it says is taken only where a reader
 * accepts it, and what it does not say, or says wrong, is asked for by itself.
 */

import { CarportError } from '../../lib/errors.js';
import { type NarInfo, parseNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { readNarInfo } from '../binary-cache.js';
import { type BatchTexts, readBatch } from './document.js';
import { type ToldBatch, toldBatch } from './field.js';

/**
 * A batch is fetched for this part of it: a narinfo by itself takes about 1.2 KB and a part of a round trip, in a batch a fifth of
 * that.
 */
const WORTH_PART = 1 / 16;
const FEWEST = 4;

/** Bytes of batches that are kept for what may still be wanted of them; of more the oldest are given up. */
const MOST_KEPT = 64 * 1024 * 1024;

/** A narinfo that was read. */
export type ReadInfo =
  /** From a batch: what the cache says of the path by itself may be something else by now. */
  | { readonly info: NarInfo; readonly isHint: true }
  /** By itself. */
  | { readonly info: NarInfo | undefined; readonly isHint: false };

/** Reads the narinfos of one run. */
export interface BatchReader {
  /** Says that these will be asked for: so a batch is fetched before the first of them is asked for by itself. */
  expect(hashParts: readonly string[]): void;
  /** Learns of a narinfo that is used where what it refers to may lie. */
  learn(objects: ObjectStore, info: NarInfo): void;
  /** As `readNarInfo`, but for hints. */
  read(objects: ObjectStore, hashPart: string): Promise<ReadInfo>;
  /** Whether it has given any hint. */
  hasHinted(): boolean;
}

/** A batch that was told of. */
interface Batch extends ToldBatch {
  /** What is wanted of it, as far as can be guessed. */
  readonly wanted: Set<string>;
  texts?: Promise<BatchTexts>;
  /** A path that was thought to be in it, and is elsewhere: others of which that was thought may be there, too. */
  scout?: Promise<NarInfo | undefined>;
}

/** What is known of a cache. */
interface Known {
  /** By name. */
  readonly batches: Map<string, Batch>;
  /** Where a path may lie that is not known yet. */
  readonly guesses: Map<string, Batch>;
  /** Paths that are known, wherever they were: they are wanted of no batch any more. */
  readonly found: Set<string>;
}

/** Begins a run: nothing is known of any cache. `room` are bytes of batches that are kept. */
export function createBatchReader(room = MOST_KEPT): BatchReader {
  const known = new Map<ObjectStore, Known>();
  const kept = createKept(room);
  let hasHinted = false;
  const knownOf = (objects: ObjectStore): Known => {
    const there = known.get(objects);
    if (there) return there;
    const one: Known = { batches: new Map(), guesses: new Map(), found: new Set() };
    known.set(objects, one);
    return one;
  };
  return {
    expect(hashParts) {
      for (const { guesses } of known.values())
        for (const hashPart of hashParts) guesses.get(hashPart)?.wanted.add(hashPart);
    },
    learn(objects, info) {
      const told = objects.traits.isImmediate ? undefined : toldBatch(info);
      if (told === undefined) return;
      const one = knownOf(objects);
      const batch = batchOf(told, one);
      batch.wanted.add(hashPartOf(info.path));
      settle(hashPartOf(info.path), one);
      for (const reference of info.references) {
        const hashPart = hashPartOf(reference);
        if (!one.guesses.has(hashPart) && !one.found.has(hashPart)) one.guesses.set(hashPart, batch);
      }
    },
    async read(objects, hashPart) {
      const one = known.get(objects);
      const read = (one && (await readGuessed(objects, hashPart, one, kept))) ?? (await readAlone(objects, hashPart));
      hasHinted ||= read.isHint;
      return read;
    },
    hasHinted: () => hasHinted,
  };
}

async function readAlone(objects: ObjectStore, hashPart: string): Promise<ReadInfo> {
  return { info: await readNarInfo(objects, hashPart), isHint: false };
}

/** Looks in the batches where a path may lie, one after another; `undefined` where it is to be asked for by itself. */
async function readGuessed(
  objects: ObjectStore,
  hashPart: string,
  known: Known,
  kept: Kept,
): Promise<ReadInfo | undefined> {
  const tried = new Set<Batch>();
  for (let batch = known.guesses.get(hashPart); batch !== undefined && !tried.has(batch); ) {
    tried.add(batch);
    batch.wanted.add(hashPart);
    if (batch.texts === undefined && batch.wanted.size < Math.max(FEWEST, batch.count * WORTH_PART)) return undefined;
    batch.texts ??= load(objects, batch, kept);
    const texts = await batch.texts;
    const info = take(texts, hashPart);
    if (info) {
      settle(hashPart, known);
      return { info, isHint: true };
    }
    // It is in another one, or in none.
    if (batch.scout === undefined) {
      const alone = readNarInfo(objects, hashPart);
      batch.scout = alone.catch(() => undefined);
      return { info: await alone, isHint: false };
    }
    const next = otherOf(await batch.scout, known, tried);
    if (next) for (const each of batch.wanted) if (!texts.has(each)) guess(each, { from: batch, to: next, known });
    batch = next;
  }
  return undefined;
}

function otherOf(scout: NarInfo | undefined, known: Known, tried: ReadonlySet<Batch>): Batch | undefined {
  const told = scout && toldBatch(scout);
  if (told === undefined) return undefined;
  const batch = batchOf(told, known);
  return tried.has(batch) ? undefined : batch;
}

function batchOf(told: ToldBatch, { batches }: Known): Batch {
  const batch = batches.get(told.name) ?? { ...told, wanted: new Set<string>() };
  batches.set(told.name, batch);
  return batch;
}

/** Notes that a path is known, so that nobody thinks of it that it lies in some batch, too. */
function settle(hashPart: string, { guesses, found }: Known): void {
  found.add(hashPart);
  guesses.delete(hashPart);
}

/** Thinks of what is wanted of one batch, and does not lie there, that it lies in the other. */
function guess(
  hashPart: string,
  { from, to, known }: { readonly from: Batch; readonly to: Batch; readonly known: Known },
): void {
  if (known.guesses.get(hashPart) !== from) return;
  known.guesses.set(hashPart, to);
  to.wanted.add(hashPart);
}

/** Fetches a batch. One that is not there, or that cannot be read, has nothing. */
async function load(objects: ObjectStore, batch: Batch, kept: Kept): Promise<BatchTexts> {
  try {
    const texts = (await readBatch(objects, batch.name)) ?? new Map();
    kept.add(texts);
    return texts;
  } catch (error) {
    if (!(error instanceof CarportError) || error.code === 'E_INTERRUPTED') throw error;
    return new Map();
  }
}

/** What a batch says of a path, once; `undefined` where that is no narinfo of it. */
function take(texts: BatchTexts, hashPart: string): NarInfo | undefined {
  const text = texts.get(hashPart);
  if (text === undefined) return undefined;
  texts.delete(hashPart);
  try {
    const info = parseNarInfo(text.toString('latin1'));
    return hashPartOf(info.path) === hashPart ? info : undefined;
  } catch (error) {
    if (error instanceof CarportError) return undefined;
    throw error;
  }
}

/** Batches that are held, of which the oldest go where it would be too much. */
interface Kept {
  add(texts: BatchTexts): void;
}

function createKept(room: number): Kept {
  const held: { readonly texts: BatchTexts; readonly size: number }[] = [];
  let size = 0;
  return {
    add(texts) {
      let added = 0;
      for (const text of texts.values()) added += text.length;
      held.push({ texts, size: added });
      size += added;
      while (size > room && held.length > 1) {
        const oldest = held.shift()!;
        size -= oldest.size;
        oldest.texts.clear();
      }
    },
  };
}
