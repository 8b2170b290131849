/** What would be lost if somebody went on who does not know the keys that signed it. */

import { mapAtMost } from '../../lib/concurrency.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { Notice } from '../../lib/notice.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import type { PublicKey, SecretKey } from '../../lib/signing/key.js';
import { formatMinisignId, MAX_MINISIG_SIZE, minisignKey, parseMinisig } from '../../lib/signing/minisign.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { type Doubt, whatIsDoubted } from '../documents/doubt.js';
import { FRAGMENTS, isSignatureKey, LEDGER_KEY, parseFileKey, parseSumsKey, YANKS } from '../layout.js';
import type { ReleaseSources } from '../sources/sources.js';
import type { Publication } from './publication.js';

/** Keys that are named, of each signer. */
const NAMED = 3;

/** Signers that are told of. */
const MAX_GROUPS = 4;

/** Signatures that are read at a time. */
const AT_ONCE = 64;

/** A signature of a file of the index that would go, or be exchanged. */
interface LostSignature {
  readonly kind: /** No trusted key has made it. */
    | 'foreign'
    /** There is no key to make it again. */
    | 'not-signing'
    /** It is of a release whose documents have gone. */
    | 'stripped';
  readonly key: string;
  /** Whose it is, as people are told. */
  readonly signer: string;
}

/** What would not count any more. */
type Loss = Doubt | LostSignature;

/** Whom somebody believes who makes an index, and what he signs it with. */
export interface IndexSigning {
  readonly policy: TrustPolicy;
  readonly keys: readonly SecretKey[];
  /** Go on where something is not believed that is there, and so would not count any more. */
  readonly allowLost: boolean;
}

/** An index that is to be exchanged. */
export interface IndexBefore {
  readonly objects: ObjectStore;
  /** What people call the place. */
  readonly where: string;
  /** Its signatures that may be of any key. */
  readonly signatures: readonly { readonly key: string }[];
  /** Of the new one. */
  readonly sources: ReleaseSources;
}

/** Throws where a new index would lose something (`E_SIGNATURE`), unless that is allowed; then it is what to warn of. */
export async function refuseLostIndex(
  { objects, where, signatures, sources }: IndexBefore,
  { policy, keys, allowLost }: IndexSigning,
  goesOn: string,
): Promise<readonly Notice[]> {
  const lost = await findLostSignatures(objects, signatures, { sources, trusted: policy.keys, signing: keys });
  return refuseLosses(where, [...sources.doubts, ...lost], { allowLost, goesOn });
}

/** Whether a key is that of a signature of a file that an index owns. */
export function isSignatureOf({ owns }: Pick<Publication, 'owns'>, key: string): boolean {
  return isSignatureKey(key) && owns(key);
}

interface Making {
  readonly sources: ReleaseSources;
  readonly trusted: readonly PublicKey[];
  readonly signing: readonly SecretKey[];
}

/**
 * Of these signatures of files, those that would go, or be exchanged for another key's: where nobody signs that is all of
 * them, else those that no trusted key has made, and those of checksums of which nothing tells any more. What is no signature
 * is none that could be lost.
 */
async function findLostSignatures(
  objects: ObjectStore,
  signatures: readonly { readonly key: string }[],
  { sources, trusted, signing }: Making,
): Promise<readonly LostSignature[]> {
  const isStripped = strippedReleases(sources);
  const names = new Map(trusted.map((key) => [formatMinisignId(minisignKey(key).id), key.name]));
  const found = await mapAtMost(AT_ONCE, signatures, async ({ key }): Promise<readonly LostSignature[]> => {
    const id = await readKeyId(objects, key);
    if (id === undefined) return [];
    const signer = names.has(id) ? `\`${names.get(id)}\`` : `the minisign key ${id}`;
    if (signing.length === 0) return [{ kind: 'not-signing', key, signer }];
    if (!names.has(id)) return [{ kind: 'foreign', key, signer }];
    return isStripped(key) ? [{ kind: 'stripped', key, signer }] : [];
  });
  return found.flat();
}

/** Tells the signatures of checksums that would not be made again: of releases with files, and with no fragment, intent or tombstone. */
function strippedReleases({
  files,
  fragments,
  promotions,
  prunings,
  damaged,
}: ReleaseSources): (key: string) => boolean {
  const withFiles = new Set(files.map(({ key }) => parseFileKey(key)?.version));
  const told = new Set([...fragments, ...promotions, ...prunings].map(({ value }) => value.version));
  return (key) => {
    const sums = parseSumsKey(key);
    if (!sums?.isSignature || !withFiles.has(sums.version) || told.has(sums.version)) return false;
    return !damaged.some((each) => each.includes(`/${sums.version}`));
  };
}

async function readKeyId(objects: ObjectStore, key: string): Promise<string | undefined> {
  try {
    const bytes = await objects.read(key, MAX_MINISIG_SIZE);
    return bytes && formatMinisignId(parseMinisig(bytes).keyId);
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return undefined;
    throw error;
  }
}

/** Throws where something would be lost (`E_SIGNATURE`), unless that is allowed; then it is what to warn of. */
export function refuseLosses(
  where: string,
  losses: readonly Loss[],
  { allowLost, goesOn }: { readonly allowLost: boolean; readonly goesOn: string },
): readonly Notice[] {
  if (losses.length === 0) return [];
  const many = losses.length === 1 ? '1 document or signature' : `${losses.length} documents and signatures`;
  const reason = eachOnce(losses.map(({ kind }) => REASONS[kind])).join(', or ');
  const are = losses.length === 1 ? 'is' : 'are';
  if (allowLost) return [{ message: `${many} in \`${where}\` ${reason} ${are} lost: ${listed(losses)}` }];
  throw new CarportError('E_SIGNATURE', `\`${where}\` has ${many} ${reason}, and that would be lost`, {
    cause: new Error(listed(losses)),
    hint: [...eachOnce(losses.flatMap(remediesOf)), `\`--allow-lost-signatures\` ${goesOn}`].join('; '),
  });
}

const REASONS: Readonly<Record<Loss['kind'], string>> = {
  stranger: 'that no trusted key has made',
  gone: 'that no trusted key has made',
  foreign: 'that no trusted key has made',
  'wrong-signature': 'that no trusted key has made',
  unsigned: 'that nobody has signed',
  damaged: 'that cannot be read',
  misplaced: 'that are copies of others',
  'not-signing': 'that nobody would sign any more',
  stripped: 'of releases of which nothing is told any more',
};

/** What people can do about a loss, in words that are the same for all of its kind. */
function remediesOf({ kind, key }: Loss): readonly string[] {
  if (kind === 'stripped') {
    return ['bring back what was below `carport/`, or sign the files again with `carport release put`'];
  }
  if (kind === 'not-signing') return ['give the key with `--secret-key FILE`'];
  if (kind === 'stranger' || kind === 'gone' || kind === 'foreign' || kind === 'wrong-signature') {
    return ['sign with the key that did, or trust it with `--trusted-key NAME:BASE64`'];
  }
  // A ledger that nobody has signed is believed by nobody.
  if (key === LEDGER_KEY) return [`remove \`${LEDGER_KEY}\`, which is made anew`];
  const believe = kind === 'unsigned' ? ['`--allow-unsigned` believes what nobody has signed'] : [];
  return [...believe, remedyAt(key)];
}

/** What comes in the place of a document that no key has signed. */
function remedyAt(key: string): string {
  if (key.startsWith(FRAGMENTS)) return '`carport release put --replace` signs a release whose files are put again';
  if (key.startsWith(YANKS)) return '`carport release yank` or `unyank` says anew whether a version should be used';
  return "remove a mark that is damaged or a stranger's";
}

function eachOnce(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)];
}

/** By whom they are, and the first of each. */
function listed(losses: readonly Loss[]): string {
  const groups = new Map<string, string[]>();
  for (const loss of losses) {
    const { key } = loss;
    const what = 'signer' in loss ? `signed by ${loss.signer}` : whatIsDoubted(loss);
    const group = groups.get(what);
    if (group) group.push(key);
    else groups.set(what, [key]);
  }
  const told = [...groups].slice(0, MAX_GROUPS).map(([what, keys]) => {
    const more = keys.length - NAMED;
    const first = keys.slice(0, NAMED).map((key) => `\`${key}\``);
    return `${what}: ${first.join(', ')}${more > 0 ? `, and ${more} more` : ''}`;
  });
  return `${told.join('; ')}${groups.size > MAX_GROUPS ? '; and others' : ''}`;
}
