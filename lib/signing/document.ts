/** Signed documents: JSON of one strict shape, signed over all that it says. One module parses, renders, signs and judges them. */

import * as v from 'valibot';
import { checkShape, parseStrictJson } from '../strict-json.js';
import type { PublicKey, SecretKey } from './key.js';
import { type SignatureVerdict, signersOf, signText, verifyText } from './signature.js';
import type { TrustPolicy } from './trust.js';

/** One kind of document that is kept in a store as JSON, signed over all that it says. */
export interface DocumentKind<Entries extends v.ObjectEntries> {
  /** What it is called in messages. */
  readonly what: string;
  /** First line of what is signed: no document can be taken for one of another kind. */
  readonly tag: `carport-${string}`;
  /** The first field, which has the number of the format: `schema` where nothing is said. */
  readonly formatField?: 'schema' | 'version';
  /** Bytes that are read of one: `MAX_DOCUMENT` where nothing is said. */
  readonly maxBytes?: number;
  /** Its fields, in the order that is signed. */
  readonly entries: Entries;
}

/** What of a kind is seen in the text of its documents, besides their fields. */
type DocumentHead = Pick<DocumentKind<v.ObjectEntries>, 'tag' | 'formatField'>;

/** What a document of a kind says. */
export type DocumentOf<Kind> =
  Kind extends DocumentKind<infer Entries> ? Readonly<v.InferOutput<v.StrictObjectSchema<Entries, undefined>>> : never;

/** A document and who says that they signed it, as `<key name>:<base 64>`. */
export interface SignedDocument<T> {
  readonly value: T;
  readonly signatures: readonly string[];
}

/** Why a document that is there does not count. Each domain has its own words for these. */
export type DocumentDoubt =
  /** It cannot be read; the cause says why. */
  | { readonly kind: 'damaged'; readonly cause: Error }
  /** Another document belongs there. */
  | { readonly kind: 'misplaced' }
  /** It has the name of a trusted key, which did not sign this. */
  | { readonly kind: 'wrong-signature'; readonly keyName: string }
  /** Keys have signed it of which none is trusted. */
  | { readonly kind: 'stranger'; readonly signatures: readonly string[] }
  | { readonly kind: 'unsigned' };

/** Bytes of a document, which is short; kinds may say otherwise. */
export const MAX_DOCUMENT = 1024 * 1024;

/** Signatures that are read of one document. */
const MAX_SIGNATURES = 16;

/** The number of all formats so far. */
const FORMAT = 1;

/** Signs a value with each of the keys. The same for the same value. Throws `E_FORMAT` for what is not of this kind. */
export function signDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  value: DocumentOf<DocumentKind<Entries>>,
  keys: readonly SecretKey[],
): SignedDocument<DocumentOf<DocumentKind<Entries>>> {
  const shape = v.strictObject(kind.entries);
  const ordered = checkShape(kind.what, value, shape) as DocumentOf<DocumentKind<Entries>>;
  const message = documentMessage(kind, ordered);
  return { value: ordered, signatures: keys.map((key) => signText(message, key)).sort() };
}

/** The text of a document, which `signDocument` or `parseDocument` gave, with the signatures that it has. */
export function renderDocument(kind: DocumentHead, { value, signatures }: SignedDocument<object>): string {
  return `${JSON.stringify({ ...numbered(kind, value), signatures }, undefined, 2)}\n`;
}

/**
 * Parses a document. Throws `E_FORMAT` for what is not exactly of this kind: what a signature does not cover must not be there.
 * Whether somebody who may has signed it is for `judgeDocument` to say.
 */
export function parseDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  text: string,
): SignedDocument<DocumentOf<DocumentKind<Entries>>> {
  const field = formatFieldOf(kind);
  const whole = v.strictObject({
    [field]: v.literal(FORMAT, `is not ${FORMAT}, the only one that this carport knows`),
    ...kind.entries,
    signatures: v.pipe(v.array(v.string()), v.maxLength(MAX_SIGNATURES)),
  });
  const parsed = parseStrictJson(kind.what, text, whole as unknown as v.GenericSchema<Parsed>);
  const { [field]: _, signatures, ...value } = parsed;
  return { value: value as DocumentOf<DocumentKind<Entries>>, signatures };
}

interface Parsed extends Record<string, unknown> {
  readonly signatures: readonly string[];
}

/** What the signatures of a document are worth to whoever trusts these keys. */
export function verifyDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  { value, signatures }: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  keys: readonly PublicKey[],
): SignatureVerdict {
  return verifyText(documentMessage(kind, value), signatures, keys);
}

/** One of the keys that signed a document; `undefined` when none of them did. */
export function signerOf<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  { value, signatures }: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  keys: readonly PublicKey[],
): PublicKey | undefined {
  return signersOf(documentMessage(kind, value), signatures, keys)[0];
}

/** Why the signatures of a document do not make it believed; `undefined` when they do, or when what is unsigned is believed. */
export function judgeDocument<Entries extends v.ObjectEntries>(
  kind: DocumentKind<Entries>,
  document: SignedDocument<DocumentOf<DocumentKind<Entries>>>,
  { keys, allowUnsigned }: TrustPolicy,
): DocumentDoubt | undefined {
  const verdict = verifyDocument(kind, document, keys);
  if (verdict.state === 'valid') return undefined;
  if (verdict.state === 'invalid') return { kind: 'wrong-signature', keyName: verdict.keyName };
  if (allowUnsigned) return undefined;
  const { signatures } = document;
  return signatures.length === 0 ? { kind: 'unsigned' } : { kind: 'stranger', signatures };
}

/**
 * The text that is signed: the tag of the kind, and every field but the signatures, in one fixed form. The fields of the value
 * are in the order of its kind, as `signDocument` and `parseDocument` give them.
 */
export function documentMessage(kind: DocumentHead, value: object): string {
  return `${kind.tag}\n${JSON.stringify(numbered(kind, value))}`;
}

function numbered(kind: DocumentHead, value: object): object {
  return { [formatFieldOf(kind)]: FORMAT, ...value };
}

function formatFieldOf({ formatField = 'schema' }: DocumentHead): string {
  return formatField;
}
