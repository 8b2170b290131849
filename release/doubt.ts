import type * as v from 'valibot';
import { signatureKeyName } from '../lib/signing/signature.js';
import type { TrustPolicy } from '../lib/signing/trust.js';
import { type DocumentKind, type DocumentOf, type SignedDocument, verifyDocument } from './signed-document.js';

/** Something that is there, and is not believed. */
export interface Doubt {
  readonly key: string;
  /** Why it is not believed. */
  readonly why: string;
  /** Who signed it, or what else it is, in a few words. */
  readonly what: string;
  /** Whether somebody has signed it who is only not known here. */
  readonly isSigned: boolean;
  /** Whoever allows what is unsigned is not told of it. */
  readonly isAllowed?: true;
}

/** The same of whatever is at a key. */
export type DoubtAbout = Omit<Doubt, 'key'>;

/** Names that are told of one document. */
const NAMED = 3;

/** Characters of a name. */
const MAX_NAME = 60;

/** As it is said in a warning. */
export function tellDoubt({ key, why }: Doubt): string {
  return `\`${key}\` is not believed: ${why}`;
}

/** Why a document is not believed, if it is not. */
export function doubtAbout<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  document: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  policy: TrustPolicy,
): DoubtAbout | undefined {
  const verdict = verifyDocument(kind, document, policy.keys);
  if (verdict.state === 'valid') return undefined;
  if (verdict.state === 'unsigned') return policy.allowUnsigned ? undefined : untrusted(document.signatures);
  const wrong = `the signature by \`${verdict.keyName}\` is wrong`;
  return { why: wrong, what: `with a wrong signature by \`${verdict.keyName}\``, isSigned: true };
}

/** About what carries these signatures, and none by a trusted key. */
export function untrusted(signatures: readonly string[]): DoubtAbout {
  return { why: 'no trusted key has signed it', what: signedBy(signatures), isSigned: signatures.length > 0 };
}

/** About a document that was found where another belongs. */
export const MISPLACED: DoubtAbout = { why: 'it belongs elsewhere', what: 'of another version', isSigned: false };

/** About what cannot be read. */
export function damaged(why: string): DoubtAbout {
  return { why, what: 'damaged', isSigned: false };
}

/** Names are anybody's text. */
function signedBy(signatures: readonly string[]): string {
  const names = [...new Set(signatures.map(signatureKeyName))];
  if (names.length === 0) return 'signed by nobody';
  const told = names.slice(0, NAMED).map((name) => `\`${name.replace(/[^\x20-\x7e]|`/g, '?').slice(0, MAX_NAME)}\``);
  return `signed by ${told.join(', ')}${names.length > NAMED ? ' and others' : ''}`;
}
