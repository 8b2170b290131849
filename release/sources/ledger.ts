/** What the publisher of the index knew of all that, signed as a whole. */

import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { formatError, hasCode } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { judgeDocument, parseDocument, renderDocument, signDocument } from '../../lib/signing/document.js';
import type { SecretKey } from '../../lib/signing/key.js';
import type { TrustPolicy } from '../../lib/signing/trust.js';
import type { Doubt, DoubtAbout } from '../documents/doubt.js';
import { FRAGMENT, type Fragment, LEDGER, type Project, YANK, type Yank } from '../documents/kinds.js';
import { fragmentKey, LEDGER_KEY, versionKey, YANKS } from '../layout.js';

/**
 * What the publisher of an index knew of the bucket: documents that trusted keys had signed, which need not be read and
 * verified again, and which are missed when they have gone; and files of the index, which need not be made again.
 */
export interface Ledger {
  readonly fragments: readonly KnownDocument<Fragment>[];
  readonly yanks: readonly KnownDocument<Yank>[];
  /** By their keys. */
  readonly published: ReadonlyMap<string, KnownFile>;
  /** The newest time that an index has told of. */
  readonly updated: string | null;
  /** Of the listing that all this was read of, when nothing was written meanwhile. */
  readonly state: string | null;
  readonly project?: Project;
}

export interface KnownDocument<T> {
  /** Of the object that it was read from. */
  readonly versionTag: string;
  /** The key that signed it, as `<name>:<base 64>`. */
  readonly signer: string;
  readonly value: T;
}

export interface KnownFile {
  /** Of the object that had this content. */
  readonly versionTag: string;
  /** Of its content. */
  readonly fingerprint: string;
}

/** Bytes. Some 800 are of one target of a release and its checksums. */
const MAX_LEDGER = 256 * 1024 * 1024;

/** The ledger of no index. */
export const EMPTY_LEDGER: Ledger = { fragments: [], yanks: [], published: new Map(), updated: null, state: null };

/** The ledger of a bucket. One that is damaged, or that no trusted key has signed, is as good as none; then `doubt` says why. */
export async function readLedger(
  objects: ObjectStore,
  policy: TrustPolicy,
): Promise<{ readonly ledger?: Ledger; readonly doubt?: Doubt }> {
  const doubted = (about: DoubtAbout) => ({ doubt: { ...about, key: LEDGER_KEY } });
  try {
    const bytes = await objects.read(LEDGER_KEY, MAX_LEDGER);
    if (bytes === undefined) return {};
    const { header, body } = split(bytes);
    // What nobody has signed tells nothing that is not there anyway.
    const about = judgeDocument(LEDGER, header, { ...policy, allowUnsigned: false });
    if (about) return doubted(about);
    const { sha256, ...rest } = header.value;
    if (hashOf(body) !== sha256)
      return doubted({ kind: 'damaged', cause: new Error('it has another content than what was signed') });
    return { ledger: { ...parseBody(body), ...rest } };
  } catch (error) {
    if (hasCode(error, 'E_FORMAT')) return doubted({ kind: 'damaged', cause: error });
    throw error;
  }
}

/** The text of a ledger, signed by each of the keys. The same for the same ledger. */
export function renderLedger(ledger: Ledger, keys: readonly SecretKey[]): string {
  const { updated, state, project } = ledger;
  const body = renderBody(ledger);
  const said = { sha256: hashOf(body), updated, state, ...(project && { project }) };
  const header = JSON.parse(renderDocument(LEDGER, signDocument(LEDGER, said, keys)));
  return `${JSON.stringify(header)}\n${body}`;
}

/** Whether a ledger was made of another one, and nothing of that was changed. */
export function isSameLedger(a: Ledger, b: Ledger): boolean {
  return (
    a.updated === b.updated &&
    a.state === b.state &&
    JSON.stringify(a.project) === JSON.stringify(b.project) &&
    haveSameValues(a.fragments, b.fragments) &&
    haveSameValues(a.yanks, b.yanks) &&
    a.published.size === b.published.size &&
    [...a.published].every(([key, file]) => b.published.get(key) === file)
  );
}

function haveSameValues(a: readonly KnownDocument<object>[], b: readonly KnownDocument<object>[]): boolean {
  const values = new Map(a.map(({ versionTag, value }) => [value, versionTag]));
  return a.length === b.length && b.every(({ versionTag, value }) => values.get(value) === versionTag);
}

function split(bytes: Buffer) {
  const end = bytes.indexOf('\n');
  const header = parseDocument(LEDGER, bytes.toString('utf8', 0, Math.max(end, 0)));
  return { header, body: bytes.subarray(end + 1) };
}

function hashOf(body: Buffer | string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** One array a line, sorted. */
function renderBody({ fragments, yanks, published }: Ledger): string {
  const signers = [...new Set([...fragments, ...yanks].map(({ signer }) => signer))].sort();
  const numbers = new Map(signers.map((signer, number) => [signer, number]));
  const lineOf = (kind: string, { signer, versionTag, value }: KnownDocument<object>) =>
    JSON.stringify([kind, numbers.get(signer), versionTag, value]);
  const lines = [
    ...signers.map((signer) => JSON.stringify(['key', signer])),
    ...sortedBy(fragments, ({ value }) => fragmentKey(value.version, value.target)).map((each) =>
      lineOf('fragment', each),
    ),
    ...sortedBy(yanks, ({ value }) => versionKey(YANKS, value.version)).map((each) => lineOf('yank', each)),
    ...sortedBy([...published], ([key]) => key).map(([key, { versionTag, fingerprint }]) =>
      JSON.stringify(['file', key, versionTag, fingerprint]),
    ),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function sortedBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly T[] {
  return items
    .map((item) => ({ key: keyOf(item), item }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ item }) => item);
}

const Signer = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const DocumentLine = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.strictTuple([v.string(), Signer, v.string(), v.strictObject(entries)]);
const LINES = {
  key: v.strictTuple([v.string(), v.string()]),
  fragment: DocumentLine(FRAGMENT.entries),
  yank: DocumentLine(YANK.entries),
  file: v.strictTuple([v.string(), v.string(), v.string(), v.string()]),
} as const;

/** Signed as it is, so that what is wrong in it comes from another carport. */
function parseBody(body: Buffer): Pick<Ledger, 'fragments' | 'yanks' | 'published'> {
  const signers: string[] = [];
  const fragments: KnownDocument<Fragment>[] = [];
  const yanks: KnownDocument<Yank>[] = [];
  const published = new Map<string, KnownFile>();
  for (const line of body.toString('utf8').split('\n')) {
    if (line === '') continue;
    const row = parseJson(line);
    const kind = Array.isArray(row) ? row[0] : undefined;
    if (kind === 'key') signers.push(checked(LINES.key, row)[1]);
    else if (kind === 'fragment') fragments.push(known(checked(LINES.fragment, row), signers));
    else if (kind === 'yank') yanks.push(known(checked(LINES.yank, row), signers));
    else if (kind === 'file') {
      const [, key, versionTag, fingerprint] = checked(LINES.file, row);
      published.set(key, { versionTag, fingerprint });
    } else throw formatError(LEDGER.what, 'has a line of another kind');
  }
  return { fragments, yanks, published };
}

function known<T>(
  [, number, versionTag, value]: readonly [string, number, string, T],
  signers: readonly string[],
): KnownDocument<T> {
  const signer = signers[number];
  if (signer === undefined) throw formatError(LEDGER.what, 'has a document of no key');
  return { versionTag, signer, value };
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw formatError(LEDGER.what, 'has a line that is not JSON', { cause });
  }
}

function checked<Schema extends v.GenericSchema>(schema: Schema, row: unknown): v.InferOutput<Schema> {
  const parsed = v.safeParse(schema, row, { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw formatError(LEDGER.what, `has a line that says something else: ${parsed.issues[0].message}`);
}
