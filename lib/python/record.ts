/** `RECORD`: the files of a wheel with their hashes and sizes, as CSV (PEP 376, 427). */

import { formatError } from '../errors.js';

/** Bytes of a `RECORD`. */
export const MAX_RECORD = 16 * 1024 * 1024;

/** A line of it. */
export interface RecordRow {
  /** With `/` between names, relative to the wheel's root. */
  readonly path: string;
  /** `sha256=` and base64url without `=`; empty for the `RECORD` itself. */
  readonly hash: string;
  /** Bytes, as text; may be empty. */
  readonly size: string;
}

/** Hashes that count; PEP 427 has none that are weaker than SHA-256. */
const ALGORITHMS: Readonly<Record<string, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** Reads a `RECORD`, each path once. Throws `E_FORMAT`. */
export function parseRecord(what: string, text: string): readonly RecordRow[] {
  const rows: RecordRow[] = [];
  const seen = new Set<string>();
  for (const cells of parseCsv(what, text)) {
    const [path = '', hash = '', size = '', ...more] = cells;
    if (more.length > 0 || cells.length < 3)
      throw formatError(what, `has a line of ${cells.length} columns, and not 3`);
    if (seen.has(path)) throw formatError(what, `lists \`${path}\` twice`);
    seen.add(path);
    rows.push({ path, hash, size });
  }
  return rows;
}

/** The text of a `RECORD`, lines ended by `\n`. */
export function renderRecord(rows: readonly RecordRow[]): string {
  return rows.map(({ path, hash, size }) => `${[path, hash, size].map(quoted).join(',')}\n`).join('');
}

/** A hash as a `RECORD` has it. */
export function recordHash(algorithm: string, digest: Uint8Array): string {
  return `${algorithm}=${Buffer.from(digest).toString('base64url')}`;
}

/** The algorithm of a hash and its bytes; `undefined` for what is none that counts. */
export function parseRecordHash(text: string): { readonly algorithm: string; readonly digest: Buffer } | undefined {
  const [, algorithm = '', encoded = ''] = /^([a-z0-9]+)=([A-Za-z0-9_-]+)=*$/.exec(text) ?? [];
  if (!Object.hasOwn(ALGORITHMS, algorithm)) return undefined;
  const digest = Buffer.from(encoded, 'base64url');
  return digest.length === ALGORITHMS[algorithm] ? { algorithm, digest } : undefined;
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}

/** Cells between commas, in quotes where they have commas themselves (RFC 4180). None is longer than a name. */
function* parseCsv(what: string, text: string): Generator<readonly string[]> {
  const cell = /(?:"(?<inQuotes>(?:[^"]|""){0,8192})"|(?<plain>[^",\r\n]*))(?<end>,|\r\n|\n|\r|$)/y;
  let row: string[] = [];
  while (cell.lastIndex < text.length || row.length > 0) {
    const groups = cell.exec(text)?.groups;
    if (!groups) throw formatError(what, 'has a line that is no CSV');
    row.push(groups.inQuotes?.replaceAll('""', '"') ?? groups.plain ?? '');
    if (groups.end === ',') continue;
    if (row.length > 1 || row[0] !== '') yield row;
    row = [];
  }
}
