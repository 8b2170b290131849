/** What a cache holds, as columns: narinfos and what they refer to, NARs, and what belongs to paths. */

import type { ToldBatch } from '../batches/field.js';
import { bytes, growing, integers, naturals, numbers } from './growing.js';
import { createHashParts, type HashParts, PACKED } from './hash-parts.js';
import { createTexts, type Texts } from './texts.js';

/** What was listed of objects of one kind. */
export interface Listed {
  readonly length: number;
  /** Bytes of each. */
  readonly size: Float64Array;
  /** When each was written, in milliseconds by the store's clock. */
  readonly modified: Float64Array;
}

/** Bytes of an MD5. */
export const MD5 = 16;

/** Narinfos, in the order of their hash parts. */
export interface NarInfoColumns extends Listed {
  readonly hashParts: HashParts;
  /** 16 bytes each; zeros where the store does not tell. */
  readonly md5: Uint8Array;
  /** Base names without the hash part. */
  readonly names: Texts;
  /** The number of each one's NAR; -1 where that is not there. */
  readonly nar: Int32Array;
  /** Bytes of each one's NAR before compression; 0 of one that vanished. */
  readonly narSize: Float64Array;
  /** References are `references[firstReference[n]]` up to, and without, that of `n + 1`: numbers of narinfos, -1 for none. */
  readonly firstReference: Uint32Array;
  readonly references: Int32Array;
  /** 1 for one that had vanished when it was to be read. */
  readonly vanished: Uint8Array;
  /** The number of the batch that each one names; -1 for none. */
  readonly batch: Int32Array;
  readonly batches: readonly ToldBatch[];
}

/** Objects by their keys. */
export interface KeyedColumns extends Listed {
  readonly keys: Texts;
}

/** Logs, realisations and debugging information. */
export interface BelongingColumns extends KeyedColumns {
  /** A narinfo and what belongs to it, in pairs: a log has several owners. */
  readonly owners: Int32Array;
  /** A NAR and what belongs to it, in pairs. */
  readonly narOwners: Int32Array;
  /** 1 for what refers to its path, and so goes before it. */
  readonly refers: Uint8Array;
  /** 1 for what nobody can say what it belongs to: it stays. */
  readonly isUnknown: Uint8Array;
  /** Of what belongs to no narinfo that is there: the hash part of the path, or the derivation, that may come back. */
  readonly strays: ReadonlyMap<number, string>;
}

/** All of a cache. */
export interface Survey {
  /** The store's time when it was begun. */
  readonly time: number;
  readonly storeDir: string;
  readonly narInfos: NarInfoColumns;
  readonly nars: KeyedColumns;
  /** Listings by the hash part of their path. */
  readonly listings: Listed & { readonly hashParts: HashParts };
  readonly belongings: BelongingColumns;
  /** Keys of what carport keeps beside it: pins, leases, documents of releases. */
  readonly carportKeys: readonly string[];
}

/** What a narinfo says, as far as it matters here. */
export interface NarInfoFacts {
  readonly name: string;
  /** The key of its NAR. */
  readonly narKey: string;
  /** Bytes of its NAR before compression. */
  readonly narSize: number;
  /** 20 bytes for each reference, but not for itself. */
  readonly references: Uint8Array;
  /** The hash part of the derivation. */
  readonly deriver: string | undefined;
  /** The batch that it says it lies in. */
  readonly batch?: ToldBatch | undefined;
}

/** What a listing tells of a narinfo: what has another of these is another. */
export interface ListedNarInfo {
  /** Where its hash part is, 20 bytes, and where its MD5 is, 16 bytes. */
  readonly packed: Uint8Array;
  readonly md5: Uint8Array;
  readonly size: number;
  readonly modified: number;
}

/** Gathers columns: all of a listing first, then `index`, then what each narinfo says, in their order. */
export interface SurveyBuilder {
  addNarInfo(hashPart: string, size: number, modified: number, md5: string | undefined): void;
  addListing(hashPart: string, size: number, modified: number): void;
  addNar(key: string, size: number, modified: number): void;
  /** Gives its number. */
  addBelonging(key: string, size: number, modified: number, refers: boolean): number;
  index(): void;
  readonly hashParts: HashParts;
  readonly belongings: Texts;
  /** What was listed of a narinfo. */
  listedOf(narInfo: number): ListedNarInfo;
  /** What was listed of a NAR. */
  listedNar(key: string): { readonly size: number; readonly modified: number } | undefined;
  /** Whether nothing was listed of narinfos and NARs. */
  isEmpty(): boolean;
  /** Whether there is a listing of a path. */
  hasListing(hashPart: string): boolean;
  /** Of the next narinfo. */
  addFacts(facts: NarInfoFacts | undefined): void;
  /** Says whose something is: the number of a narinfo; -1 is none. */
  own(belonging: number, narInfo: number): void;
  /** Says whose something is that has no owner here. */
  setStray(belonging: number, hashPart: string): void;
  /** Says with which NAR something goes. */
  ownByNar(belonging: number, narKey: string): void;
  setUnknown(belonging: number): void;
  finish(of: Pick<Survey, 'time' | 'storeDir' | 'carportKeys'>): Survey;
}

function createListed() {
  const [size, modified] = [growing(numbers), growing(numbers)];
  return {
    add(bytes: number, time: number) {
      size.push(bytes);
      modified.push(time);
    },
    done: (): Listed => ({ length: size.length, size: size.array(), modified: modified.array() }),
  };
}

/** Begins a survey. */
export function createSurvey(): SurveyBuilder {
  const [listingParts, listings] = [createHashParts(), createListed()];
  const [narKeys, nars] = [createTexts(), createListed()];
  const infos = createNarInfos(narKeys);
  const belongings = createBelongings(narKeys);
  const { hashParts } = infos;
  return {
    ...{ hashParts, belongings: belongings.keys, listedOf: infos.listedOf, addFacts: infos.addFacts },
    ...{ own: belongings.own, ownByNar: belongings.ownByNar, setStray: belongings.setStray },
    setUnknown: belongings.setUnknown,
    addNarInfo: infos.add,
    addListing(hashPart, size, modified) {
      listingParts.add(hashPart);
      listings.add(size, modified);
    },
    addNar(key, size, modified) {
      narKeys.add(key);
      nars.add(size, modified);
    },
    addBelonging: belongings.add,
    listedNar(key) {
      const number = narKeys.find(key);
      const { size, modified } = nars.done();
      return number < 0 ? undefined : { size: size[number]!, modified: modified[number]! };
    },
    isEmpty: () => hashParts.length + narKeys.length === 0,
    hasListing: (hashPart) => listingParts.find(hashPart) >= 0,
    index() {
      for (const each of [hashParts, listingParts, narKeys]) each.index();
      infos.listed();
      belongings.listed();
    },
    finish: (of) => ({
      ...{ ...of, narInfos: infos.done(), belongings: belongings.done() },
      nars: { ...nars.done(), keys: narKeys },
      listings: { ...listings.done(), hashParts: listingParts },
    }),
  };
}

function createNarInfos(narKeys: Texts) {
  const [hashParts, names, listed, md5s] = [createHashParts(), createTexts(), createListed(), growing(bytes)];
  const [nar, references, firstReference] = [growing(integers), growing(integers), growing(naturals)];
  const narSizes = growing(numbers);
  const [batch, batches, batchNumbers] = [growing(integers), [] as ToldBatch[], new Map<string, number>()];
  const numberOfBatch = (told: ToldBatch): number => {
    const number = batchNumbers.get(told.name) ?? batches.push(told) - 1;
    batchNumbers.set(told.name, number);
    return number;
  };
  let vanished = new Uint8Array(0);
  firstReference.push(0);
  return {
    hashParts,
    add(hashPart: string, size: number, modified: number, md5: string | undefined) {
      hashParts.add(hashPart);
      const at = md5s.extend(MD5);
      if (md5 !== undefined) md5s.array().set(Buffer.from(md5, 'hex'), at);
      listed.add(size, modified);
    },
    listed() {
      vanished = new Uint8Array(hashParts.length);
    },
    listedOf(narInfo: number): ListedNarInfo {
      const { size, modified } = listed.done();
      return {
        packed: hashParts.packed().subarray(narInfo * PACKED, (narInfo + 1) * PACKED),
        md5: md5s.array().subarray(narInfo * MD5, (narInfo + 1) * MD5),
        size: size[narInfo]!,
        modified: modified[narInfo]!,
      };
    },
    addFacts(facts: NarInfoFacts | undefined) {
      if (facts === undefined) vanished[nar.length] = 1;
      names.add(facts?.name ?? '');
      nar.push(facts ? narKeys.find(facts.narKey) : -1);
      narSizes.push(facts?.narSize ?? 0);
      batch.push(facts?.batch ? numberOfBatch(facts.batch) : -1);
      const packed = facts?.references ?? new Uint8Array(0);
      for (let at = 0; at < packed.length; at += PACKED) references.push(hashParts.findPacked(packed, at));
      firstReference.push(references.length);
    },
    done: (): NarInfoColumns => ({
      ...listed.done(),
      ...{ hashParts, names, vanished, nar: nar.array(), narSize: narSizes.array(), md5: md5s.array() },
      ...{ firstReference: firstReference.array(), references: references.array(), batch: batch.array(), batches },
    }),
  };
}

function createBelongings(narKeys: Texts) {
  const [keys, listed, owners, narOwners] = [createTexts(), createListed(), growing(integers), growing(integers)];
  const refers = growing(bytes);
  const strays = new Map<number, string>();
  let isUnknown = new Uint8Array(0);
  return {
    keys,
    add(key: string, size: number, modified: number, isReferrer: boolean): number {
      listed.add(size, modified);
      refers.push(isReferrer ? 1 : 0);
      return keys.add(key);
    },
    listed() {
      isUnknown = new Uint8Array(keys.length);
    },
    own(belonging: number, narInfo: number) {
      owners.push(narInfo);
      owners.push(belonging);
    },
    setStray(belonging: number, hashPart: string) {
      strays.set(belonging, hashPart);
    },
    ownByNar(belonging: number, narKey: string) {
      narOwners.push(narKeys.find(narKey));
      narOwners.push(belonging);
    },
    setUnknown(belonging: number) {
      isUnknown[belonging] = 1;
    },
    done: (): BelongingColumns => ({
      ...{ ...listed.done(), keys, isUnknown, strays, refers: refers.array() },
      owners: owners.array().subarray(0, owners.length),
      narOwners: narOwners.array().subarray(0, narOwners.length),
    }),
  };
}
