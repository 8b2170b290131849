/**
 * What a key says of itself in a cache, signed by it: where it is used, and which keys follow it, until when. All statements of a
 * cache are one object, so that a web server can serve it.
 */

import * as v from 'valibot';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import {
  type DocumentKind,
  type DocumentOf,
  parseDocument,
  renderDocument,
  type SignedDocument,
  signDocument,
  signerOf,
} from '../../lib/signing/document.js';
import { parsePublicKey, renderPublicKey, type SecretKey } from '../../lib/signing/key.js';
import { parseStrictJson } from '../../lib/strict-json.js';
import { CACHE_KEYS } from '../layout.js';
import { isPinTime } from '../pins/pin.js';

/** Limits of what is read: whatever a cache has there, it costs no more than that. */
const LIMITS = { bytes: 256 * 1024, statements: 32, successors: 8, caches: 32, text: 1100 } as const;

const Time = v.pipe(v.string(), v.check(isPinTime, 'is not a time in UTC with milliseconds'));
const Key = v.pipe(v.string(), v.maxLength(LIMITS.text), v.check(isPublicKey, 'is not a public key'));

/** The kind of document that a statement is. */
const STATEMENT = {
  what: 'statement of a key',
  tag: 'carport-key-statement',
  formatField: 'version',
  maxBytes: LIMITS.bytes,
  entries: {
    key: Key,
    caches: v.pipe(
      v.array(v.pipe(v.string(), v.maxLength(LIMITS.text))),
      v.minLength(1),
      v.maxLength(LIMITS.caches),
      v.readonly(),
    ),
    updatedAt: Time,
    successors: v.pipe(
      v.array(v.strictObject({ key: Key, until: Time })),
      v.maxLength(LIMITS.successors),
      v.readonly(),
    ),
  },
} satisfies DocumentKind<v.ObjectEntries>;

/** What a key says of itself; the newest that it has signed counts. */
export type Statement = DocumentOf<typeof STATEMENT>;

/** A key that another vouches for, until a time: from then on it does not. */
export type Successor = Statement['successors'][number];

type SignedStatement = SignedDocument<Statement>;

/** The statements of a cache. */
export interface KeyStatements {
  /** Each signed by the key that it is about; one for each key. */
  readonly statements: readonly SignedStatement[];
  /** How many are left out: not signed by their key, or the second of one. */
  readonly refused: number;
}

const METADATA = { contentType: 'application/json', cacheControl: 'no-cache' } as const;

const Whole = v.strictObject({
  version: v.literal(1, 'is not 1, the only one that this carport knows'),
  keys: v.pipe(v.array(v.record(v.string(), v.unknown())), v.maxLength(LIMITS.statements)),
});

/**
 * What keys say of themselves in a cache; `undefined` where it tells nothing of keys. Throws `E_INTEGRITY` for what cannot be
 * read.
 */
export async function readStatements(objects: Pick<ObjectStore, 'read' | 'url'>): Promise<KeyStatements | undefined> {
  try {
    const bytes = await objects.read(CACHE_KEYS, LIMITS.bytes);
    return bytes && parseStatements(bytes.toString('utf8'));
  } catch (cause) {
    if (!hasCode(cause, 'E_FORMAT')) throw cause;
    throw new CarportError('E_INTEGRITY', `\`${CACHE_KEYS}\` in \`${objects.url}\` is damaged`, {
      cause,
      hint: 'a newer carport may have written it; if not, whoever has the keys writes it anew: remove it, then `carport key publish`',
    });
  }
}

/** Parses the statements of a cache. Throws `E_FORMAT` for what is of another form. */
export function parseStatements(text: string): KeyStatements {
  const { keys } = parseStrictJson(CACHE_KEYS, text, Whole);
  const signed = new Map<string, SignedStatement>();
  for (const each of keys) {
    const statement = parseDocument(STATEMENT, JSON.stringify(each));
    const { key } = statement.value;
    if (signed.has(key) || !signerOf(STATEMENT, statement, [parsePublicKey(key)])) continue;
    signed.set(key, statement);
  }
  return { statements: [...signed.values()], refused: keys.length - signed.size };
}

/** Signs what a key says of itself. */
export function signStatement(
  key: SecretKey,
  { caches, updatedAt, successors }: Omit<Statement, 'key'>,
): SignedStatement {
  return signDocument(STATEMENT, { key: renderPublicKey(key.publicKey), caches, updatedAt, successors }, [key]);
}

/** Writes the statements of a cache in place of what is there. */
export async function writeStatements(objects: ObjectStore, statements: readonly SignedStatement[]): Promise<void> {
  if (statements.length > LIMITS.statements) throw tooMany(objects);
  const keys = statements.map((each) => JSON.parse(renderDocument(STATEMENT, each)) as unknown);
  const text = `${JSON.stringify({ version: 1, keys }, undefined, 2)}\n`;
  if (text.length > LIMITS.bytes) throw tooMany(objects);
  await objects.put(CACHE_KEYS, Buffer.from(text), METADATA);
}

function tooMany({ url }: ObjectStore): CarportError {
  return new CarportError('E_USAGE', `\`${url}\` would tell of more keys than readers look at`, {
    hint: `it may have ${LIMITS.statements} keys, of ${LIMITS.successors} successors and ${LIMITS.caches} addresses each`,
  });
}

function isPublicKey(text: string): boolean {
  try {
    return renderPublicKey(parsePublicKey(text)) === text;
  } catch {
    return false;
  }
}
