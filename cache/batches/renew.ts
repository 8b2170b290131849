/** Brings batches up to date where narinfos of theirs are written anew, such as with another signature, or have gone. */

import { mapAtMost } from '../../lib/concurrency.js';
import { hasCode } from '../../lib/errors.js';
import { type NarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ListedObject, ObjectStore, WriteStore } from '../../lib/object-store/object-store.js';
import { BATCHES, batchNameOfKey } from '../layout.js';
import { type BatchTexts, isRefusedBatch, readBatch, writeBatch } from './document.js';
import { toldBatch } from './field.js';

/** What is younger may be of a push that is under way, of which nothing is visible yet. */
const DAY_MS = 24 * 60 * 60 * 1000;

/** Batches that a collection reads at a time. */
const AT_ONCE = 4;

/** Narinfos that were written anew, until their batches are. */
export interface Renewal {
  /** Notes one, as it is now. */
  note(info: NarInfo): void;
  /** Writes the batches. One that is not there, or cannot be written, stays so: readers ask for what they do not accept. */
  finish(): Promise<void>;
}

export function createRenewal(objects: ObjectStore): Renewal {
  const changes = new Map<string, BatchTexts>();
  return {
    note(info) {
      const name = toldBatch(info)?.name;
      if (name === undefined) return;
      const texts: BatchTexts = changes.get(name) ?? new Map();
      texts.set(hashPartOf(info.path), Buffer.from(renderNarInfo(info), 'latin1'));
      changes.set(name, texts);
    },
    async finish() {
      for (const [name, changed] of changes) {
        const texts = await readBatch(objects, name).catch(ifDamaged);
        if (texts === undefined) continue;
        for (const [hashPart, text] of changed) if (texts.has(hashPart)) texts.set(hashPart, text);
        await writeBatch(objects, name, texts).catch(ifRefused);
      }
    },
  };
}

/** What a collection knows of narinfos. */
export interface Remaining {
  /** Those that it has removed. */
  isRemoved(hashPart: string): boolean;
  /** Whether there are any. */
  readonly hasRemoved: boolean;
  /** Those that were there before. */
  wasThere(hashPart: string): boolean;
  /** The store's time then, in milliseconds. */
  readonly time: number;
}

/** Takes out of all batches what has gone, and removes those that have nothing any more, or that nobody can read. */
export async function tidyBatches(
  objects: WriteStore,
  { isRemoved, hasRemoved, wasThere, time }: Remaining,
  signal: AbortSignal,
): Promise<void> {
  const tidyOne = async ({ key, modified }: ListedObject): Promise<void> => {
    const name = batchNameOfKey(key);
    if (name === undefined) return;
    const isOld = modified.getTime() < time - DAY_MS;
    if (!isOld && !hasRemoved) return;
    const texts = await readBatch(objects, name).catch(ifDamaged);
    const before = texts?.size ?? 0;
    for (const hashPart of [...(texts?.keys() ?? [])]) {
      if (isRemoved(hashPart) || (isOld && !wasThere(hashPart))) texts!.delete(hashPart);
    }
    const left = texts?.size ?? 0;
    if (left === 0 && (isOld || before > 0)) await objects.remove([key]);
    else if (left < before) await writeBatch(objects, name, texts!);
  };
  const listed: ListedObject[] = [];
  for await (const object of objects.list({ prefix: BATCHES })) listed.push(object);
  await mapAtMost(AT_ONCE, listed, tidyOne, signal);
}

function ifDamaged(error: unknown): undefined {
  if (!hasCode(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
}

function ifRefused(error: unknown): void {
  if (!isRefusedBatch(error)) throw error;
}
