import type * as v from 'valibot';
import { type DocumentKind, type DocumentOf, renderDocument, signDocument } from '#lib/signing/document.js';
import type { SecretKey } from '#lib/signing/key.js';

/** The text of a document, signed by each of the keys. */
export function renderSigned<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[],
): string {
  return renderDocument(kind, signDocument(kind, value, keys));
}
