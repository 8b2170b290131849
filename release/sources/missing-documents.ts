/** What was signed once, and has gone since. */

import { aboutKey, type Notice } from '../../lib/notice.js';
import { type PublicKey, renderPublicKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Doubt } from '../documents/doubt.js';
import type { Fragment, Yank } from '../documents/kinds.js';
import { FRAGMENT_PLACE, YANK_PLACE } from '../documents/places.js';
import { fileKey, LEDGER_KEY, parseFileKey, versionKey, YANKS } from '../layout.js';
import type { KnownDocument, Ledger } from './ledger.js';

/** Documents that keys have signed. */
export type SignedDocuments = Pick<Ledger, 'fragments' | 'yanks'>;

/** A document that is there, and believed. */
export interface SeenDocument<T> {
  readonly versionTag: string;
  readonly value: T;
  /** As a ledger has it; nobody where what is unsigned is believed. */
  readonly signer?: string;
}

export interface SeenDocuments {
  readonly fragments: readonly SeenDocument<Fragment>[];
  readonly yanks: readonly SeenDocument<Yank>[];
}

/** What a ledger adds to what is there. */
export interface Remembered {
  /** Files that were signed, and whose fragment has gone. */
  readonly strippedKeys: ReadonlySet<string>;
  /** What was said last of versions, where that has gone, or something older is in its place. */
  readonly yanks: readonly Yank[];
  /** What keys have said of versions that are not trusted here, and nobody who is has said since. */
  readonly strangersYanks: readonly Yank[];
  /** What such keys have signed, where nothing newer of it is believed. */
  readonly doubts: readonly Doubt[];
  /** What has gone of what trusted keys had said. */
  readonly warnings: readonly Notice[];
  /** For the next ledger. */
  readonly documents: SignedDocuments;
}

/** What of a ledger may be believed: documents that these keys have signed. */
export function believedOf({ fragments, yanks }: SignedDocuments, keys: readonly PublicKey[]): SignedDocuments {
  const names = new Set(keys.map(renderPublicKey));
  const isBelieved = ({ signer }: KnownDocument<object>) => names.has(signer);
  return { fragments: fragments.filter(isBelieved), yanks: yanks.filter(isBelieved) };
}

/**
 * Compares documents that are there with those of a ledger. Nobody takes the signature off a release by removing its
 * fragment, nor a yank back by removing that: what was signed is remembered as long as files of the release are listed.
 * What keys have signed that are not trusted here is kept for those who trust them; that it was there is told.
 */
export function rememberSigned(
  ledger: SignedDocuments,
  { keys, allowUnsigned }: TrustPolicy,
  seen: SeenDocuments,
  fileKeys: Iterable<string>,
): Remembered {
  const listed = new Set(fileKeys);
  const { fragments, yanks } = believedOf(ledger, keys);
  const isThere = new Set(seen.fragments.map(({ value }) => FRAGMENT_PLACE.keyOf(value)));
  const gone = ledger.fragments.filter(
    ({ value }) => !isThere.has(FRAGMENT_PLACE.keyOf(value)) && keysOfFiles(value).some((key) => listed.has(key)),
  );
  const believed = new Set(fragments);
  const stripped = gone.filter((each) => believed.has(each)).flatMap(({ value }) => keysOfFiles(value));
  const said = new Map(seen.yanks.map((each) => [each.value.version, each]));
  const versions = new Set([...listed].map((key) => parseFileKey(key)?.version));
  const lost = yanks.filter(
    ({ value: { version, time } }) => versions.has(version) && time > (said.get(version)?.value.time ?? ''),
  );
  const known = new Set(yanks);
  const strangersYanks = ledger.yanks.filter(
    (each) => !known.has(each) && versions.has(each.value.version) && isUnsaid(each.value, said, lost),
  );
  const strangersFragments = gone.filter((each) => !believed.has(each));
  const newest = new Map(ledger.yanks.filter(({ value }) => versions.has(value.version)).map(byVersion));
  for (const each of seen.yanks.filter(isSigned)) newest.set(...byVersion(each));
  for (const each of lost) newest.set(...byVersion(each));
  return {
    strippedKeys: new Set(stripped.filter((key) => listed.has(key))),
    yanks: lost.map(({ value }) => value),
    strangersYanks: strangersYanks.map(({ value }) => value),
    doubts: allowUnsigned
      ? []
      : [
          ...strangersFragments.map((each) => doubtOf(FRAGMENT_PLACE.keyOf(each.value), each)),
          ...strangersYanks.map((each) => doubtOf(YANK_PLACE.keyOf(each.value), each)),
        ],
    warnings: lost.flatMap(({ value }) => tellLost(value, said.has(value.version))),
    documents: { fragments: [...seen.fragments.filter(isSigned), ...gone], yanks: [...newest.values()] },
  };
}

/** Whether nobody who is believed has said anything since. */
function isUnsaid(
  { version, time }: Yank,
  said: ReadonlyMap<string, { readonly value: Yank }>,
  lost: readonly KnownDocument<Yank>[],
): boolean {
  const since = [said.get(version)?.value, lost.find(({ value }) => value.version === version)?.value];
  return !since.some((yank) => yank !== undefined && yank.time >= time);
}

function doubtOf(key: string, { signer }: KnownDocument<object>): Doubt {
  return { kind: 'gone', key, ledgerKey: LEDGER_KEY, publicKey: signer };
}

function tellLost({ version, reason }: Yank, isReplaced: boolean): readonly Notice[] {
  const key = versionKey(YANKS, version);
  const what = isReplaced ? `\`${key}\` is older than what was said last` : `\`${key}\` has gone`;
  if (reason !== null)
    return [
      aboutKey(key, `${what}: \`${version}\` goes on being yanked, and \`carport release unyank\` takes it back`),
    ];
  return isReplaced ? [aboutKey(key, `${what}: \`${version}\` is not yanked any more`)] : [];
}

function byVersion(each: KnownDocument<Yank>): [string, KnownDocument<Yank>] {
  return [each.value.version, each];
}

function isSigned<T>(each: SeenDocument<T>): each is KnownDocument<T> {
  return each.signer !== undefined;
}

function keysOfFiles({ version, target, files }: Fragment): readonly string[] {
  return files.map(({ name }) => fileKey(version, target, name));
}
