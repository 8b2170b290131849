import { type PublicKey, renderPublicKey } from '../lib/signing/key.js';
import { FRAGMENT_PLACE } from './document-places.js';
import type { Fragment, Yank } from './documents.js';
import { fileKey, parseFileKey, versionKey, YANKS } from './layout.js';
import type { KnownDocument, Ledger } from './ledger.js';

/** Documents that keys have signed. */
export type SignedDocuments = Pick<Ledger, 'fragments' | 'yanks'>;

/** A document that is there, and believed. */
export interface SeenDocument<T> {
  readonly stamp: string;
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
  readonly warnings: readonly string[];
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
 * What keys have signed that are not trusted here is kept for those who trust them, and counts for nothing.
 */
export function rememberSigned(
  ledger: SignedDocuments,
  keys: readonly PublicKey[],
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
  const newest = new Map(ledger.yanks.filter(({ value }) => versions.has(value.version)).map(byVersion));
  for (const each of seen.yanks.filter(isSigned)) newest.set(...byVersion(each));
  for (const each of lost) newest.set(...byVersion(each));
  return {
    strippedKeys: new Set(stripped.filter((key) => listed.has(key))),
    yanks: lost.map(({ value }) => value),
    warnings: lost.flatMap(({ value }) => tellLost(value, said.has(value.version))),
    documents: { fragments: [...seen.fragments.filter(isSigned), ...gone], yanks: [...newest.values()] },
  };
}

function tellLost({ version, reason }: Yank, isReplaced: boolean): readonly string[] {
  const key = versionKey(YANKS, version);
  const what = isReplaced ? `\`${key}\` is older than what was said last` : `\`${key}\` has gone`;
  if (reason !== null)
    return [`${what}: \`${version}\` goes on being yanked, and \`carport release unyank\` takes it back`];
  return isReplaced ? [`${what}: \`${version}\` is not yanked any more`] : [];
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
