/** What a zip archive says of its members. */

import type { Entry } from 'yauzl';

/** A file in an archive. */
export interface ZipMember {
  readonly name: string;
  /** Bytes when it is unpacked. */
  readonly size: number;
  readonly crc32: number;
  /** Nothing is stored of it but its name. */
  readonly isDirectory: boolean;
  /** Where all that belongs to it begins and ends: header, bytes, descriptor. */
  readonly span: { readonly start: number; readonly end: number };
  /** Its entry of the directory. */
  readonly entry: Entry;
}

/** An extra field by which some programs call a member otherwise (Info-ZIP). */
export const UNICODE_PATH = 0x7075;
