/** Where the members of a zip archive are: they follow one another, and what stands before and behind each says what the directory does. */

import type { Entry } from 'yauzl';
import { formatError } from '../errors.js';
import { explained } from './fault.js';
import { UNICODE_PATH, type ZipMember } from './member.js';
import type { ReadAt } from './window.js';

/** Bytes of what stands before a member, without its name and extra fields. */
export const HEADER = 30;
const LOCAL_SIGNATURE = 0x04034b50;
const HAS_DESCRIPTOR = 0x8;
const MAX_DESCRIPTOR = 24;

/** Where the bytes of a member begin, behind its header. */
export function dataOffset(header: Buffer): number {
  return HEADER + header.readUInt16LE(26) + header.readUInt16LE(28);
}

/** An extra field with the sizes that four bytes are too few for. */
const LONG_SIZES = 0x0001;
const UNKNOWN = 0xffff_ffff;

/** Whether what stands before a member says of it what the directory does; sums and sizes may be told behind it only. */
function isHeaderOf(header: Buffer, entry: Entry): boolean {
  const flags = entry.generalPurposeBitFlag;
  const isLater = (flags & HAS_DESCRIPTOR) !== 0;
  const extra = extraFieldsOf(header);
  const sizes = extra && sizesIn(header, extra.get(LONG_SIZES));
  const is = (value: number, expected: number) => value === expected || (isLater && value === 0);
  return (
    header.readUInt32LE(0) === LOCAL_SIGNATURE &&
    header.readUInt16LE(6) === flags &&
    header.readUInt16LE(8) === entry.compressionMethod &&
    is(header.readUInt32LE(14), entry.crc32) &&
    header.readUInt16LE(26) === entry.fileNameLength &&
    header.subarray(HEADER, HEADER + entry.fileNameLength).equals(entry.fileNameRaw) &&
    sizes !== undefined &&
    !extra!.has(UNICODE_PATH) &&
    is(sizes.packed, entry.compressedSize) &&
    is(sizes.unpacked, entry.uncompressedSize)
  );
}

/** Extra fields by their ids; `undefined` where they are none. Some programs fill up with fewer bytes than a field has. */
function extraFieldsOf(header: Buffer): ReadonlyMap<number, Buffer> | undefined {
  const extra = header.subarray(HEADER + header.readUInt16LE(26));
  const fields = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= extra.length; ) {
    const [id, length] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)];
    if (at + 4 + length > extra.length || (fields.has(id) && id === LONG_SIZES)) return undefined;
    fields.set(id, extra.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return fields;
}

function sizesIn(
  header: Buffer,
  long: Buffer = Buffer.alloc(0),
): { readonly packed: number; readonly unpacked: number } | undefined {
  let at = 0;
  const [unpacked, packed] = [header.readUInt32LE(22), header.readUInt32LE(18)].map((size) => {
    if (size !== UNKNOWN) return size;
    at += 8;
    return at <= long.length ? Number(long.readBigUInt64LE(at - 8)) : undefined;
  });
  return packed === undefined || unpacked === undefined ? undefined : { packed, unpacked };
}

const DESCRIPTOR_SIGNATURE = 0x08074b50;

/** Whether what stands behind a member is what tells its sum and sizes: signature or not, sizes of four bytes or of eight. */
function isDescriptorOf(bytes: Buffer, { crc32: sum, compressedSize, uncompressedSize }: Entry): boolean {
  if (![12, 16, 20, 24].includes(bytes.length)) return false;
  const isSigned = bytes.length % 8 === 0;
  if (isSigned && bytes.readUInt32LE(0) !== DESCRIPTOR_SIGNATURE) return false;
  const told = isSigned ? bytes.subarray(4) : bytes;
  const sizes =
    told.length === 12
      ? [told.readUInt32LE(4), told.readUInt32LE(8)]
      : [Number(told.readBigUInt64LE(4)), Number(told.readBigUInt64LE(12))];
  return told.readUInt32LE(0) === sum && sizes[0] === compressedSize && sizes[1] === uncompressedSize;
}

/** Finds where each member is: they follow one another from the first byte to the directory. */
export async function locateMembers(
  readAt: ReadAt,
  entries: readonly Entry[],
  end: number,
  what: string,
): Promise<readonly ZipMember[]> {
  const inOrder = entries.toSorted((a, b) => a.relativeOffsetOfLocalHeader - b.relativeOffsetOfLocalHeader);
  const spans = new Map<Entry, ZipMember['span']>();
  let at = 0;
  for (const [index, entry] of inOrder.entries()) {
    const { relativeOffsetOfLocalHeader: start, fileName: name, compressedSize } = entry;
    if (start !== at) throw formatError(what, `has bytes before \`${name}\` that belong to no member, or to two`);
    const fixed = await readAt(start, HEADER).catch(explained(what));
    const header = await readAt(start, dataOffset(fixed)).catch(explained(what));
    const next = inOrder[index + 1]?.relativeOffsetOfLocalHeader ?? end;
    const bytes = start + dataOffset(header) + compressedSize;
    const hasDescriptor = (entry.generalPurposeBitFlag & HAS_DESCRIPTOR) !== 0;
    if (!isHeaderOf(header, entry))
      throw formatError(what, `says two things of \`${name}\`: before it, and in its directory`);
    if (bytes > next || (!hasDescriptor && bytes !== next) || next - bytes > MAX_DESCRIPTOR) {
      throw formatError(what, `has bytes after \`${name}\` that belong to no member, or to two`);
    }
    // Some programs promise a descriptor of a directory, and write none.
    const behind = next === bytes ? undefined : await readAt(bytes, next - bytes).catch(explained(what));
    if (behind && !isDescriptorOf(behind, entry)) {
      throw formatError(what, `says two things of \`${name}\`: behind it, and in its directory`);
    }
    spans.set(entry, { start, end: next });
    at = next;
  }
  if (at !== end) throw formatError(what, 'has bytes before its directory that belong to no member');
  return entries.map((entry) => ({
    name: entry.fileName,
    size: entry.uncompressedSize,
    crc32: entry.crc32,
    isDirectory: entry.fileName.endsWith('/'),
    span: spans.get(entry)!,
    entry,
  }));
}
