/** What a narinfo says of its NAR's chunks, in a field that Nix passes over. */

import type { NarInfo, UnknownField } from '../../nix/narinfo.js';
import { CUTTING, type Cutting } from './density.js';
import { type TablePlace, tablePlace } from './frames.js';
import { type ChunkRow, renderRows } from './table.js';

/** The field follows what is said of the file. */
const KEY = 'CarportChunks';
const AFTER = 'FileSize';

/** Rows up to so many bytes, of some hundred chunks, are in the narinfo itself: a table costs a request, and that more than they do. */
const MOST_INLINE = 4096;

/** The number of the format, which tells how the NAR is cut, and either the rows, or where the table's frame is in the file: its offset and length. */
const VALUE = /^([234])(?::([A-Za-z0-9+/]+={0,2})|@([0-9]{1,15})\+([1-9][0-9]{0,9}))$/;

/** The rows of a table, or where it is. */
export type ToldTable = { readonly cutting: Cutting } & (
  | { readonly rows: Uint8Array; readonly place?: undefined }
  | { readonly rows?: undefined; readonly place: TablePlace }
);

/** What a writer of a NAR's file has to tell of its chunks. */
export interface ToldChunks {
  /** For its narinfo. */
  readonly field: UnknownField;
  /** The rows of the table. */
  readonly rows: Uint8Array;
}

/** What there is to tell of the chunks of a NAR, of which the frames stand at the beginning of its file. */
export function tellChunks(chunks: readonly ChunkRow[]): ToldChunks {
  const rows = renderRows(chunks);
  return { field: { key: KEY, value: fieldValue(chunks, rows), after: AFTER }, rows };
}

function fieldValue(chunks: readonly ChunkRow[], rows: Buffer): string {
  if (rows.length <= MOST_INLINE) return `${CUTTING}:${rows.toString('base64')}`;
  const dataSize = chunks.reduce((sum, { compressedSize }) => sum + compressedSize, 0);
  const { offset, length } = tablePlace(dataSize, rows.length);
  return `${CUTTING}@${offset}+${length}`;
}

/** What an untrusted narinfo says of chunks: rows to be parsed, or a place in its file. `undefined` when it says nothing of use. */
export function toldTable({ unknownFields, fileSize, compression }: NarInfo): ToldTable | undefined {
  const fields = unknownFields.filter(({ key }) => key === KEY);
  const match = fields.length === 1 ? VALUE.exec(fields[0]!.value) : null;
  if (match === null || compression !== 'zstd') return undefined;
  const [, format, rows, offset, length] = match;
  const cutting = Number(format) as Cutting;
  if (rows !== undefined) return { cutting, rows: Buffer.from(rows, 'base64') };
  const place = { offset: Number(offset), length: Number(length) };
  return fileSize !== undefined && place.offset + place.length <= fileSize ? { cutting, place } : undefined;
}
