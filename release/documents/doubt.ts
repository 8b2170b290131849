/** Why a document is not believed. */

import type * as v from 'valibot';
import { signatureKeyName } from '../../lib/signing/signature.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import { type DocumentKind, type DocumentOf, type SignedDocument, verifyDocument } from './signed-document.js';

/** Why something that is there does not count. */
export type DoubtKind =
  /** Keys have signed it of which none is trusted. */
  | 'stranger'
  /** It has the name of a trusted key, which did not sign this. */
  | 'wrong-signature'
  | 'unsigned'
  | 'damaged'
  /** Another document belongs there. */
  | 'misplaced'
  /** It is a signature, and there is no key to make it again. */
  | 'not-signing'
  /** It is a signature of a release whose documents have gone. */
  | 'stripped';

/** Something that is there, or was, and is not believed, or would be lost. */
export interface Doubt {
  readonly key: string;
  readonly kind: DoubtKind;
  /** Why it is not believed, as a part of a sentence. */
  readonly why: string;
  /** Who signed it, or what else it is, in a few words. */
  readonly what: string;
}

/** A doubt about whatever is at a key. */
export type DoubtAbout = Omit<Doubt, 'key'>;

/** Names that are told of one document. */
const NAMED = 3;

/** Characters of a name. */
const MAX_NAME = 60;

/** A doubt as it is said in a warning. */
export function tellDoubt({ key, why }: Doubt): string {
  return `\`${key}\` is not believed: ${why}`;
}

/** Whether somebody has signed it who may only not be known here. */
export function isSigned({ kind }: DoubtAbout): boolean {
  return kind === 'stranger' || kind === 'wrong-signature' || kind === 'not-signing';
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
  const by = `\`${verdict.keyName}\``;
  const what = `with a wrong signature by ${by}`;
  return { kind: 'wrong-signature', why: `the signature by ${by} is wrong`, what };
}

/** About what carries these signatures, and none by a trusted key. */
export function untrusted(signatures: readonly string[]): DoubtAbout {
  const why = 'no trusted key has signed it';
  if (signatures.length === 0) return { kind: 'unsigned', why, what: 'signed by nobody' };
  return { kind: 'stranger', why, what: signedBy(signatures) };
}

/** About a document that was found where another belongs. */
export const MISPLACED: DoubtAbout = { kind: 'misplaced', why: 'it belongs elsewhere', what: 'of another version' };

/** About what cannot be read. */
export function damaged(why: string): DoubtAbout {
  return { kind: 'damaged', why, what: 'damaged' };
}

/** Names are anybody's text. */
function signedBy(signatures: readonly string[]): string {
  const names = [...new Set(signatures.map(signatureKeyName))];
  const told = names.slice(0, NAMED).map((name) => `\`${name.replace(/[^\x20-\x7e]|`/g, '?').slice(0, MAX_NAME)}\``);
  return `signed by ${told.join(', ')}${names.length > NAMED ? ' and others' : ''}`;
}
