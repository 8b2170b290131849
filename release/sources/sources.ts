/** What a bucket says of releases: files, documents, and which of these are believed. */

import type { Notice } from '../../lib/notice.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { type Doubt, type DoubtKind, noticeOfDoubt } from '../documents/doubt.js';
import type { Fragment, Project, Promotion, Pruning, Yank } from '../documents/kinds.js';
import { FRAGMENT_PLACE, PROMOTION_PLACE, PRUNING_PLACE, YANK_PLACE } from '../documents/places.js';
import { documentReader, type Found, type Judged } from './judged.js';
import { EMPTY_LEDGER, type KnownDocument, type Ledger, readLedger } from './ledger.js';
import { type ListedFile, listSources, type SourceListing } from './listed.js';
import { believedOf, rememberSigned, type SeenDocument, type SignedDocuments } from './missing-documents.js';

/** All that a bucket says of releases, or of one version. */
export interface ReleaseSources {
  /** In the order of their keys. */
  readonly files: readonly ListedFile[];
  readonly fragments: readonly Found<Fragment>[];
  readonly yanks: readonly Found<Yank>[];
  readonly promotions: readonly Found<Promotion>[];
  readonly prunings: readonly Found<Pruning>[];
  /** Keys of documents that cannot be read: what they would say is not known. */
  readonly damaged: readonly string[];
  /** Keys of files that were signed, and whose fragment has gone. */
  readonly strippedKeys: ReadonlySet<string>;
  /** The newest time that an index has told of before. */
  readonly updatedBefore?: string;
  /** What the project said of itself when an index was published before. */
  readonly project?: Project;
  /** What is not believed, be it there or only remembered. */
  readonly doubts: readonly Doubt[];
  /** What people are to be told: the doubts in words, and what has gone. */
  readonly warnings: readonly Notice[];
}

export interface ReadOptions {
  /** Whether the ledger of the bucket is read, too, which may be large: for one version only where this is said. */
  readonly withLedger?: boolean;
}

export interface ReadSources {
  readonly sources: ReleaseSources;
  /** For the next ledger. */
  readonly documents: SignedDocuments;
  /** The one that is there, if it is believed. */
  readonly ledger?: Ledger;
}

/** Reads sources again and again: the ledger once, and of documents those only that were written since. */
export interface SourceReader {
  list(): Promise<SourceListing>;
  read(listing: SourceListing): Promise<ReadSources>;
}

/** Of no key that is trusted, and damaged by nobody. */
const UNVERIFIED: ReadonlySet<DoubtKind> = new Set(['unsigned', 'stranger', 'gone']);

/** Reads what a bucket says of its releases, or of one `version`. Throws when a listing or a document cannot be had. */
export async function readSources(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
  options: ReadOptions = {},
): Promise<ReleaseSources> {
  const { list, read } = sourceReader(objects, policy, version, options);
  return (await read(await list())).sources;
}

/** What reads the sources for somebody who looks more than once. */
export function sourceReader(
  objects: ObjectStore,
  policy: TrustPolicy,
  version?: string,
  { withLedger = version === undefined }: ReadOptions = {},
): SourceReader {
  const reading = { objects, policy };
  const readFragments = documentReader(reading, FRAGMENT_PLACE);
  const readYanks = documentReader(reading, YANK_PLACE);
  const readPromotions = documentReader(reading, PROMOTION_PLACE);
  const readPrunings = documentReader(reading, PRUNING_PLACE);
  let ledgerRead: ReturnType<typeof readLedger> | undefined;
  return {
    list: () => listSources(objects, version),
    async read(listing) {
      ledgerRead ??= withLedger ? readLedger(objects, policy) : Promise.resolve({});
      const { ledger, doubt } = await ledgerRead;
      const known = ledger ?? EMPTY_LEDGER;
      const believed = believedOf(known, policy.keys);
      const [fragments, yanks, promotions, prunings] = await Promise.all([
        readFragments(listing.fragments, byKey(believed.fragments, FRAGMENT_PLACE.keyOf)),
        readYanks(listing.yanks, byKey(believed.yanks, YANK_PLACE.keyOf)),
        readPromotions(listing.promotions),
        readPrunings(listing.prunings),
      ]);
      const seen = { fragments: fragments.flatMap(seenOf), yanks: yanks.flatMap(seenOf) };
      const fileKeys = listing.files.map(({ key }) => key);
      const { documents, strippedKeys, ...remembered } = rememberSigned(known, policy, seen, fileKeys);
      const foundOfLedger = (trusted: boolean) => (value: Yank) => ({ key: YANK_PLACE.keyOf(value), value, trusted });
      const lost = remembered.yanks.map(foundOfLedger(true));
      const isLost = new Set(lost.map(({ key }) => key));
      const all = [...fragments, ...yanks, ...promotions, ...prunings];
      const isThere = new Set(all.map(({ key }) => key));
      const doubts = [
        ...(doubt ? [doubt] : []),
        ...all.flatMap((each) => (each.doubt ? [{ ...each.doubt, key: each.key }] : [])),
        ...remembered.doubts.filter(({ key }) => !isThere.has(key)),
      ];
      const sources = {
        files: listing.files,
        fragments: fragments.flatMap(foundOf),
        yanks: [
          ...yanks.flatMap(foundOf).filter((found) => !(found.trusted && isLost.has(found.key))),
          ...lost,
          ...remembered.strangersYanks.map(foundOfLedger(false)),
        ],
        promotions: promotions.flatMap(foundOf),
        prunings: prunings.flatMap(foundOf),
        damaged: all.flatMap(({ key, found }) => (found ? [] : [key])),
        strippedKeys,
        doubts,
        warnings: [...toldOf(doubts, policy).map(noticeOfDoubt), ...remembered.warnings],
        ...(typeof known.updated === 'string' && { updatedBefore: known.updated }),
        ...(known.project && { project: known.project }),
      };
      return { sources, documents, ...(ledger && { ledger }) };
    },
  };
}

/** The doubts to tell of. Whoever believes what is unsigned is told of no ledger that might be anybody's. */
function toldOf(doubts: readonly Doubt[], { allowUnsigned }: TrustPolicy): readonly Doubt[] {
  return allowUnsigned ? doubts.filter(({ kind }) => !UNVERIFIED.has(kind)) : doubts;
}

function byKey<T>(
  documents: readonly KnownDocument<T>[],
  keyOf: (value: T) => string,
): ReadonlyMap<string, KnownDocument<T>> {
  return new Map(documents.map((each) => [keyOf(each.value), each]));
}

/** What is known of a bucket of which only a listing is there. */
export function sourcesOfFiles(files: readonly ListedFile[]): ReleaseSources {
  return {
    ...{ files, fragments: [], yanks: [], promotions: [], prunings: [] },
    ...{ damaged: [], strippedKeys: new Set(), doubts: [], warnings: [] },
  };
}

/** Those that are believed. */
export function trusted<T>(found: readonly Found<T>[]): readonly T[] {
  return found.filter((each) => each.trusted).map(({ value }) => value);
}

function foundOf<T>({ found }: Judged<T>): readonly Found<T>[] {
  return found ? [found] : [];
}

/** Of one that is believed. */
function seenOf<T>({ versionTag, found, signer }: Judged<T>): readonly SeenDocument<T>[] {
  return found?.trusted ? [{ versionTag, value: found.value, ...(signer !== undefined && { signer }) }] : [];
}
