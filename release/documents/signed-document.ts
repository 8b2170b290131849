/** JSON that is signed over all that it says. */

import * as v from 'valibot';
import type { PublicKey, SecretKey } from '../../lib/signing/key.js';
import { type SignatureVerdict, signersOf, signText, verifyText } from '../../lib/signing/signature.js';
import { parseStrictJson } from '../../lib/strict-json.js';

/** One kind of document that is kept in a bucket as JSON, signed over all that it says. */
export interface DocumentKind<Entries extends v.ObjectEntries> {
  /** What it is called in messages. */
  readonly what: string;
  /** First line of what is signed: no document can be taken for one of another kind. */
  readonly tag: `carport-${string}`;
  /** Its fields, in the order that is signed. */
  readonly entries: Entries;
}

/** What a document of a kind says. */
export type DocumentOf<Kind> =
  Kind extends DocumentKind<infer Entries> ? Readonly<v.InferOutput<v.StrictObjectSchema<Entries, undefined>>> : never;

/** A document and who says that they signed it, as `<key name>:<base 64>`. */
export interface SignedDocument<T> {
  readonly value: T;
  readonly signatures: readonly string[];
}

/** Bytes; documents are short. */
export const MAX_DOCUMENT = 1024 * 1024;

const SCHEMA = 1;
const MAX_SIGNATURES = 16;

/** The text of a document, signed by each of the keys. The same for the same value. */
export function renderDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[],
): string {
  const ordered = v.parse(v.strictObject(kind.entries), value) as DocumentOf<DocumentKind<Entries>>;
  const signatures = keys.map((key) => signText(messageOf(kind, ordered), key)).sort();
  return `${JSON.stringify({ schema: SCHEMA, ...ordered, signatures }, undefined, 2)}\n`;
}

/**
 * Parses a document. Throws `E_FORMAT` for what is not exactly of this kind: what a signature does not cover must not be there.
 * Whether somebody who may has signed it is for `verifyDocument` to say.
 */
export function parseDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  text: string,
): SignedDocument<DocumentOf<DocumentKind<Entries>>> {
  const whole = v.strictObject({
    schema: v.literal(SCHEMA, `is not ${SCHEMA}, the only one that this carport knows`),
    ...kind.entries,
    signatures: v.pipe(v.array(v.string()), v.maxLength(MAX_SIGNATURES)),
  });
  const { schema: _, signatures, ...value } = parseStrictJson(kind.what, text, whole as v.GenericSchema<Parsed>);
  return { value: value as DocumentOf<DocumentKind<Entries>>, signatures };
}

interface Parsed extends Record<string, unknown> {
  readonly schema: number;
  readonly signatures: readonly string[];
}

/** Whether one of the keys signed it. */
export function verifyDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  { value, signatures }: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  keys: readonly PublicKey[],
): SignatureVerdict {
  return verifyText(messageOf(kind, value), signatures, keys);
}

/** One of the keys that signed it. */
export function signerOf<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  { value, signatures }: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  keys: readonly PublicKey[],
): PublicKey | undefined {
  return signersOf(messageOf(kind, value), signatures, keys)[0];
}

/** Of a value that was parsed, whose fields are in the order of its kind. */
function messageOf(kind: { readonly tag: string }, value: object): string {
  return `${kind.tag}\n${JSON.stringify({ schema: SCHEMA, ...value })}`;
}
