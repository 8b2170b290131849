/** Why what a bucket says of releases is not believed, and the words for it. */

import { aboutKey, type Notice } from '../../lib/notice.js';
import type { DocumentDoubt } from '../../lib/signing/document.js';
import { signatureKeyName } from '../../lib/signing/signature.js';

/** Why something does not count that is there, or was. */
export type DoubtAbout =
  | DocumentDoubt
  /** It has gone, and the key that signed what a ledger knows of it is not trusted. */
  | { readonly kind: 'gone'; readonly ledgerKey: string; readonly publicKey: string };

/** A document that is there, or was, and is not believed. */
export type Doubt = DoubtAbout & { readonly key: string };

export type DoubtKind = Doubt['kind'];

/** Names that are told of one document. */
const NAMED = 3;

/** Characters of a name. */
const MAX_NAME = 60;

/** A doubt as it is said in a warning. */
export function tellDoubt(doubt: Doubt): string {
  return `\`${doubt.key}\` is not believed: ${whyDoubted(doubt)}`;
}

/** A doubt as a notice about its key. */
export function noticeOfDoubt(doubt: Doubt): Notice {
  return aboutKey(doubt.key, tellDoubt(doubt));
}

/** Whether somebody has signed it who may only not be known here. */
export function isSigned({ kind }: DoubtAbout): boolean {
  return kind === 'stranger' || kind === 'wrong-signature' || kind === 'gone';
}

/** Why something is not believed, as a part of a sentence. */
export function whyDoubted(doubt: DoubtAbout): string {
  switch (doubt.kind) {
    case 'damaged':
      return doubt.cause.message;
    case 'misplaced':
      return 'it belongs elsewhere';
    case 'wrong-signature':
      return `the signature by \`${doubt.keyName}\` is wrong`;
    case 'stranger':
    case 'unsigned':
      return 'no trusted key has signed it';
    case 'gone':
      return `it has gone, and no trusted key has signed what \`${doubt.ledgerKey}\` knows of it`;
  }
}

/** Who signed what is not believed, or what else it is, in a few words. */
export function whatIsDoubted(doubt: DoubtAbout): string {
  switch (doubt.kind) {
    case 'damaged':
      return 'damaged';
    case 'misplaced':
      return 'of another version';
    case 'wrong-signature':
      return `with a wrong signature by \`${doubt.keyName}\``;
    case 'unsigned':
      return 'signed by nobody';
    case 'stranger':
      return signedBy(doubt.signatures);
    case 'gone':
      return signedBy([doubt.publicKey]);
  }
}

/** Names are anybody's text. */
function signedBy(signatures: readonly string[]): string {
  const names = [...new Set(signatures.map(signatureKeyName))];
  const told = names.slice(0, NAMED).map((name) => `\`${name.replace(/[^\x20-\x7e]|`/g, '?').slice(0, MAX_NAME)}\``);
  return `signed by ${told.join(', ')}${names.length > NAMED ? ' and others' : ''}`;
}
