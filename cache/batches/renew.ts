/** Brings batches up to date where narinfos of theirs are written anew, such as with another signature, or have gone. */

import { createLimit, mapAtMost } from '../../lib/concurrency.js';
import { type CarportError, hasCode } from '../../lib/errors.js';
import { type NarInfo, renderNarInfo } from '../../lib/nix/narinfo.js';
import { hashPartOf } from '../../lib/nix/store-path.js';
import type { ListedObject, ObjectStore, WriteStore } from '../../lib/object-store/object-store.js';
import type { WarningEvent, Work } from '../../lib/work.js';
import { BATCHES, batchNameOfKey } from '../layout.js';
import { type BatchTexts, isRefusedBatch, READ_AT_ONCE, readBatch, writeBatch, YOUNG_MS } from './document.js';
import { toldBatch } from './field.js';
import { createWrites } from './writes.js';

/** Narinfos that were written anew, until their batches are. */
export interface Renewal {
  /** Notes one, as it is now. A batch of which all are noted is written at once. */
  note(info: NarInfo): void;
  /**
   * Waits for the work that notes narinfos, and writes the other batches. One that is not there, or cannot be read or
   * written, stays so: readers ask for what they do not accept. Fails where `work` does, or the store cannot be reached.
   */
  finish(work?: Promise<unknown>): Promise<void>;
}

/** Begins the renewal of batches of one store. */
export function createRenewal(objects: ObjectStore): Renewal {
  const changes = new Map<string, BatchTexts>();
  const writes = createWrites();
  // One after another: each takes some memory.
  const limit = createLimit(1);
  const write = (name: string): void => {
    const changed = changes.get(name)!;
    changes.delete(name);
    writes.begin(() => limit(() => renewBatch(objects, name, changed)));
  };
  return {
    note(info) {
      const told = toldBatch(info);
      if (told === undefined) return;
      const texts: BatchTexts = changes.get(told.name) ?? new Map();
      texts.set(hashPartOf(info.path), Buffer.from(renderNarInfo(info), 'latin1'));
      changes.set(told.name, texts);
      if (texts.size === told.count) write(told.name);
    },
    async finish(work = Promise.resolve()) {
      await writes.finish(work);
      for (const name of [...changes.keys()]) write(name);
      await writes.finish(work);
    },
  };
}

async function renewBatch(objects: ObjectStore, name: string, changed: BatchTexts): Promise<void> {
  const texts = await readBatch(objects, name).catch(ifDamagedOrRefused);
  if (texts === undefined) return;
  for (const [hashPart, text] of changed) if (texts.has(hashPart)) texts.set(hashPart, text);
  await writeBatch(objects, name, texts).catch(ifDamagedOrRefused);
}

/** What a collection knows of narinfos. */
export interface Remaining {
  /** Those that it has removed. */
  isRemoved(hashPart: string): boolean;
  /** What names a batch: how many narinfos that stay, and how many that were removed; nothing for a batch that none names. */
  namedBy(batch: string): { readonly count: number; readonly staying: number; readonly removed: number } | undefined;
  /** Those that were there before. */
  wasThere(hashPart: string): boolean;
  /** The store's time then, in milliseconds. */
  readonly time: number;
}

/**
 * Takes out of all batches what has gone, and removes those that have nothing any more, or that nobody can read. What the server
 * refuses stays as it is, with a warning: all else is done by then.
 */
export async function tidyBatches(
  objects: WriteStore,
  { isRemoved, namedBy, wasThere, time }: Remaining,
  { emit, signal }: Work<WarningEvent>,
): Promise<void> {
  const refused: CarportError[] = [];
  const tidyOne = async ({ key, modified }: ListedObject): Promise<void> => {
    const name = batchNameOfKey(key);
    if (name === undefined) return;
    const isOld = modified.getTime() < time - YOUNG_MS;
    const named = namedBy(name);
    // Nobody reads one that no narinfo names; one of which all are there, and only they, is as it should be.
    const isUnused = named === undefined || (named.staying === 0 && named.removed >= named.count);
    if (isUnused) return isOld || named ? objects.remove([key]) : undefined;
    if (named.removed === 0 && (!isOld || named.staying === named.count)) return;
    const texts = await readBatch(objects, name).catch(ifDamaged);
    const before = texts?.size ?? 0;
    for (const hashPart of [...(texts?.keys() ?? [])]) {
      if (isRemoved(hashPart) || (isOld && !wasThere(hashPart))) texts!.delete(hashPart);
    }
    const left = texts?.size ?? 0;
    if (left === 0 && (isOld || before > 0)) await objects.remove([key]);
    else if (left < before) await writeBatch(objects, name, texts!);
  };
  const tidyOrNote = (object: ListedObject): Promise<void> =>
    tidyOne(object).catch((error) => {
      if (!isRefusedBatch(error)) throw error;
      refused.push(error);
    });
  const listed: ListedObject[] = [];
  for await (const object of objects.list({ prefix: BATCHES })) listed.push(object);
  await mapAtMost(READ_AT_ONCE, listed, tidyOrNote, signal);
  if (refused.length === 0) return;
  const [number, why] = [refused.length === 1 ? 'one batch' : `${refused.length} batches`, refused[0]!.message];
  emit({
    type: 'warning',
    message: `${number} of narinfos in \`${objects.url}\` could not be brought up to date: ${why}`,
  });
}

function ifDamaged(error: unknown): undefined {
  if (!hasCode(error, 'E_FORMAT', 'E_INTEGRITY')) throw error;
}

function ifDamagedOrRefused(error: unknown): undefined {
  if (!isRefusedBatch(error)) ifDamaged(error);
}
