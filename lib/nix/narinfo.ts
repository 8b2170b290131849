/** Narinfos: what a binary cache says of a path, parsed and rendered as Nix does. */

import { formatError } from '../errors.js';
import { type Hash, parseHash, renderHash } from './hash.js';
import type { PathInfo } from './path-info.js';
import { baseNameOf, parseStorePath, storeDirOf, storePathOf } from './store-path.js';

/** A path in a binary cache: its `.narinfo`. Only what `fingerprint` covers can be trusted; the rest are hints. */
export interface NarInfo extends PathInfo {
  /** Where the NAR is, relative to the cache. */
  readonly url: string;
  readonly compression: string;
  readonly fileHash?: Hash;
  /** Bytes of the compressed NAR. */
  readonly fileSize?: number;
  /** Fields that Nix does not know (and ignores), kept so that rendering loses nothing. */
  readonly unknownFields: readonly UnknownField[];
}

export interface UnknownField {
  readonly key: string;
  readonly value: string;
  /** The known field that it follows, if any. */
  readonly after?: string;
}

const KEYS = [
  'StorePath',
  'URL',
  'Compression',
  'FileHash',
  'FileSize',
  'NarHash',
  'NarSize',
  'References',
  'Deriver',
  'Sig',
  'CA',
] as const;
type Key = (typeof KEYS)[number];
const KNOWN: ReadonlySet<string> = new Set(KEYS);

/** References and names of a narinfo are ASCII; a larger one is nobody's narinfo. */
const MAX_LENGTH = 4 * 1024 * 1024;

/**
 * Parses a narinfo (libstore/nar-info.cc). Give text of one character a byte (latin1), so that rendering gives the same
 * bytes. Every path must lie in the store dir of `StorePath`.
 */
export function parseNarInfo(text: string): NarInfo {
  if (text.length > MAX_LENGTH) throw formatError('narinfo', 'is larger than 4 MiB');
  const { fields, unknownFields } = splitFields(text);
  const what = `narinfo of \`${fields.StorePath?.[0] ?? '?'}\``;
  const path = parseAnyStorePath(required(fields, 'StorePath', what));
  const storeDir = storeDirOf(path);
  const fileHash = single(fields, 'FileHash', what);
  const fileSize = single(fields, 'FileSize', what);
  const deriver = single(fields, 'Deriver', what);
  const ca = single(fields, 'CA', what);
  return {
    path,
    url: required(fields, 'URL', what),
    compression: single(fields, 'Compression', what) || 'bzip2',
    ...(fileHash && { fileHash: parseHash(fileHash) }),
    ...(fileSize && Number(fileSize) !== 0 && { fileSize: parseSize(fileSize, what) }),
    narHash: sha256(parseHash(required(fields, 'NarHash', what)), what),
    narSize: positive(parseSize(required(fields, 'NarSize', what), what), what),
    references: parseReferences(single(fields, 'References', what) ?? '', storeDir),
    ...(deriver && deriver !== 'unknown-deriver' && { deriver: storePathOf(deriver, storeDir) }),
    signatures: fields.Sig ?? [],
    ...(ca && { ca }),
    unknownFields,
  };
}

/** Renders a narinfo in Nix's field order. What would read back as something else is refused. */
export function renderNarInfo(info: NarInfo): string {
  if (info.narSize <= 0) throw formatError('narinfo', 'the NAR size is not known');
  const storeDir = storeDirOf(info.path);
  const baseName = (path: string) => baseNameOf(parseStorePath(path, storeDir));
  const unknownAfter = unknownLines(info.unknownFields);
  const line = (key: Key, value: string | undefined) =>
    (value === undefined ? '' : renderLine(key, value)) + unknownAfter(key);
  // One line after another: thousands of paths have one each.
  return (
    unknownAfter() +
    line('StorePath', parseStorePath(info.path, storeDir)) +
    line('URL', info.url) +
    line('Compression', info.compression) +
    line('FileHash', info.fileHash && renderHash(info.fileHash)) +
    line('FileSize', info.fileSize ? String(info.fileSize) : undefined) +
    line('NarHash', renderHash(info.narHash)) +
    line('NarSize', String(info.narSize)) +
    line('References', info.references.map(baseName).join(' ')) +
    line('Deriver', info.deriver ? baseName(info.deriver) : undefined) +
    info.signatures.map((signature) => renderLine('Sig', signature)).join('') +
    unknownAfter('Sig') +
    line('CA', info.ca || undefined)
  );
}

/** The lines of unknown fields, by the known field that they follow. */
function unknownLines(fields: readonly UnknownField[]): (key?: Key) => string {
  if (fields.length === 0) return () => '';
  const lines = new Map<string | undefined, string>();
  for (const field of fields) lines.set(field.after, (lines.get(field.after) ?? '') + renderUnknownField(field));
  return (key) => lines.get(key) ?? '';
}

type Fields = Partial<Record<Key, string[]>>;

function splitFields(text: string): { fields: Fields; unknownFields: UnknownField[] } {
  if (!text.endsWith('\n')) throw formatError('narinfo', 'the last line does not end');
  const fields: Fields = {};
  const unknownFields: UnknownField[] = [];
  let after: string | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const colon = line.indexOf(': ');
    if (colon <= 0) throw formatError('narinfo', `the line \`${line}\` is not \`Key: value\``);
    const key = line.slice(0, colon);
    const value = line.slice(colon + 2);
    if (KNOWN.has(key)) {
      const values = fields[key as Key];
      if (values === undefined) fields[key as Key] = [value];
      else values.push(value);
      after = key;
    } else {
      unknownFields.push({ key, value, ...(after && { after }) });
    }
  }
  return { fields, unknownFields };
}

function single(fields: Fields, key: Key, what: string): string | undefined {
  const values = fields[key] ?? [];
  if (values.length > 1) throw formatError(what, `\`${key}\` is there twice`);
  return values[0];
}

function required(fields: Fields, key: Key, what: string): string {
  const value = single(fields, key, what);
  if (!value) throw formatError(what, `\`${key}\` is missing`);
  return value;
}

function parseAnyStorePath(text: string): string {
  const storeDir = storeDirOf(text);
  if (!storeDir.startsWith('/')) throw formatError('narinfo', `\`${text}\` is not an absolute store path`);
  return parseStorePath(text, storeDir);
}

function parseReferences(value: string, storeDir: string): readonly string[] {
  const references = value.split(' ').filter((name) => name !== '');
  return references.map((name) => storePathOf(name, storeDir));
}

function parseSize(text: string, what: string): number {
  const size = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(size)) throw formatError(what, `\`${text}\` is not a size`);
  return size;
}

/** Nix makes no other NarHash, and a weak one would make a signature worthless. */
function sha256(hash: Hash, what: string): Hash {
  if (hash.algorithm !== 'sha256') throw formatError(what, '`NarHash` is not sha256');
  return hash;
}

function positive(size: number, what: string): number {
  if (size === 0) throw formatError(what, '`NarSize` is zero');
  return size;
}

/** One character a byte, as it was read. */
function renderUnknownField({ key, value, after }: UnknownField): string {
  const misplaced = after !== undefined && !KNOWN.has(after);
  if (key === '' || key.includes(': ') || KNOWN.has(key) || misplaced) {
    throw formatError('narinfo', `\`${key}\` is not an unknown field`);
  }
  if (/[^\x20-\x7e\x80-\xff]/.test(key + value)) {
    throw formatError('narinfo', `the field \`${key}\` has a control character`);
  }
  return `${key}: ${value}\n`;
}

/** Values of known fields are ASCII; one that is not would change its bytes, or break its line, on the way to a file. */
function renderLine(key: Key, value: string): string {
  if (value === '' && key !== 'References') throw formatError('narinfo', `\`${key}\` is empty`);
  if (/[^\x20-\x7e]/.test(value)) throw formatError('narinfo', `the value of \`${key}\` is not printable ASCII`);
  return `${key}: ${value}\n`;
}
