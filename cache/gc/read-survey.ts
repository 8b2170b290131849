/** Reads what a cache holds: one listing, and each narinfo that is not remembered. What cannot be read stops it. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { hashPartOf, nameOf } from '../../lib/nix/store-path.js';
import type { Inventory } from '../../lib/object-store/inventory.js';
import type { ListedObject, WriteStore } from '../../lib/object-store/object-store.js';
import type { ActivityEvent, Work } from '../../lib/work.js';
import { toldBatch } from '../batches/field.js';
import { readNarInfo, requireCacheInfo } from '../binary-cache.js';
import { collectedKindOf, isCarportKey, logOwnerOf, narKey } from '../layout.js';
import { ownerOf } from './belongings.js';
import { PACKED, pack } from './hash-parts.js';
import type { NarInfoMemory } from './narinfo-memory.js';
import { createSurvey, type NarInfoFacts, type Survey, type SurveyBuilder } from './survey.js';

/** Narinfos that are read at a time, and that are held until all of them are there. */
const AT_ONCE = 128;
const WINDOW = 1024;

/** What was written within this time may be written again without a trace: it is read the next time, too. */
const RACY_MS = 5000;

/** What was written so shortly before an inventory may be missing in it: all is as old as if it were from before that. */
const LATE_MS = 24 * 60 * 60 * 1000;

/** What tells how far a survey is, and what it need not read. */
export interface SurveyWork extends Work<ActivityEvent> {
  readonly memory: NarInfoMemory;
  /** In place of a listing. */
  readonly inventory?: Inventory;
  /** Given what is listed and belongs to no path. */
  readonly onOther?: (object: ListedObject) => void;
}

/** What a listing has beside narinfos, until these are read. */
interface Belonging {
  /** Logs by the hash part of their derivation. */
  readonly logs: Map<string, number[]>;
  /** What only its content can tell whose it is. */
  readonly others: number[];
  /** What nobody can say what it belongs to. */
  readonly nobodys: number[];
  readonly carportKeys: string[];
}

/** Reads all. Throws `E_INTEGRITY` for a narinfo that cannot be read: nobody knows what it needs. */
export async function readSurvey(objects: WriteStore, work: SurveyWork): Promise<Survey> {
  const { storeDir } = await requireCacheInfo(objects);
  const { inventory } = work;
  const time = inventory ? inventory.time.getTime() - LATE_MS : (await objects.now()).getTime();
  const survey = createSurvey();
  const found: Belonging = { logs: new Map(), others: [], nobodys: [], carportKeys: [] };
  for await (const object of inventory?.objects ?? objects.list({ recursive: true })) {
    work.signal.throwIfAborted();
    if (!addListed(survey, object, found)) work.onOther?.(object);
  }
  survey.index();
  for (const number of found.nobodys) survey.setUnknown(number);
  work.emit({ type: 'started', verb: 'read', unit: 'narinfos', items: survey.hashParts.length });
  for (let at = 0; at < survey.hashParts.length; at += WINDOW) {
    const end = Math.min(at + WINDOW, survey.hashParts.length);
    await readWindow(objects, survey, { at, end, time, logs: found.logs }, work);
    work.emit({ type: 'progress', items: end - at });
  }
  await mapAtMost(
    AT_ONCE,
    found.others,
    async (number) => {
      const owner = await ownerOf(objects, survey.belongings.at(number));
      if (owner === 'unknown') survey.setUnknown(number);
      else if (owner !== 'gone' && 'hashPart' in owner) ownByPath(survey, number, owner.hashPart);
      else if (owner !== 'gone') survey.ownByNar(number, owner.narKey);
    },
    work.signal,
  );
  for (const [hashPart, logs] of found.logs) for (const log of logs) survey.setStray(log, hashPart);
  await work.memory.keep();
  return survey.finish({ time, storeDir, carportKeys: found.carportKeys });
}

function ownByPath(survey: SurveyBuilder, belonging: number, hashPart: string): void {
  const narInfo = survey.hashParts.find(hashPart);
  if (narInfo >= 0) survey.own(belonging, narInfo);
  else survey.setStray(belonging, hashPart);
}

/** Adds an object that belongs to a path; false for any other. */
function addListed(survey: SurveyBuilder, { key, size, modified, md5 }: ListedObject, found: Belonging): boolean {
  const of = collectedKindOf(key);
  const time = modified.getTime();
  if (of === undefined) {
    if (isCarportKey(key)) found.carportKeys.push(key);
    return false;
  }
  if (of.kind === 'path') survey.addNarInfo(of.hashPart, size, time, md5);
  else if (of.kind === 'listing') survey.addListing(of.hashPart, size, time);
  else if (of.kind === 'contents') survey.addNar(key, size, time);
  else {
    const number = survey.addBelonging(key, size, time, of.kind === 'realisation');
    if (of.kind !== 'build-log') found.others.push(number);
    else {
      const owner = logOwnerOf(key);
      if (owner === undefined) found.nobodys.push(number);
      else found.logs.set(owner, [...(found.logs.get(owner) ?? []), number]);
    }
  }
  return true;
}

interface Window extends Pick<Belonging, 'logs'> {
  readonly at: number;
  readonly end: number;
  readonly time: number;
}

async function readWindow(
  objects: WriteStore,
  survey: SurveyBuilder,
  { at, end, time, logs }: Window,
  { memory, signal }: SurveyWork,
): Promise<void> {
  const numbers = Array.from({ length: end - at }, (_, n) => at + n);
  const recalled: (NarInfoFacts | undefined)[] = [];
  for (const number of numbers) recalled.push(await memory.recall(survey.listedOf(number)));
  const read = async (number: number) =>
    recalled[number - at] ?? (await readFacts(objects, survey.hashParts.at(number)));
  const facts = await mapAtMost(AT_ONCE, numbers, read, signal);
  for (const number of numbers) {
    const one = facts[number - at];
    survey.addFacts(one);
    if (one === undefined) continue;
    const listed = survey.listedOf(number);
    if (listed.modified < time - RACY_MS) await memory.note(listed, one);
    // A log is of a derivation, and lives with what that has made.
    if (logs.size === 0) continue;
    for (const owner of [survey.hashParts.at(number), one.deriver]) {
      for (const log of logs.get(owner ?? '') ?? []) survey.own(log, number);
    }
  }
}

/** What a narinfo says; `undefined` when it has vanished. */
export async function readFacts(objects: WriteStore, hashPart: string): Promise<NarInfoFacts | undefined> {
  try {
    const info = await readNarInfo(objects, hashPart);
    if (info === undefined) return undefined;
    const others = info.references.map(hashPartOf).filter((reference) => reference !== hashPart);
    const references = new Uint8Array(others.length * PACKED);
    for (const [index, reference] of others.entries()) pack(reference, references, index * PACKED);
    const deriver = info.deriver === undefined ? undefined : hashPartOf(info.deriver);
    const facts = { name: nameOf(info.path), narKey: narKey(info), narSize: info.narSize, references, deriver };
    return { ...facts, batch: toldBatch(info) };
  } catch (cause) {
    if (!hasCode(cause, 'E_INTEGRITY', 'E_FORMAT')) throw cause;
    throw new CarportError('E_INTEGRITY', 'it is not known what a narinfo keeps: nothing is removed', {
      cause,
      ...(cause.hint !== undefined && { hint: cause.hint }),
    });
  }
}
