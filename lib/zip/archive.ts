/**
 * Zip archives of strangers: which members one has, and their bytes. Every byte of the archive belongs to a member or to the
 * directory, once, and both say the same of it: so whoever reads it in another way sees the same.
 */

import { type FileHandle, open } from 'node:fs/promises';
import type { Entry, ZipFile } from 'yauzl';
import yauzl from 'yauzl';
import { CarportError, formatError } from '../errors.js';
import { faultOfMemberName } from './member-name.js';

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

/** An archive that is open, and sound as far as its directory goes. */
export interface ZipArchive {
  readonly path: string;
  readonly file: FileHandle;
  /** In the order of the directory. */
  readonly members: readonly ZipMember[];
  /** The bytes of a member; what is not what the directory says of it is an error (`E_FORMAT`) at its end. */
  read(member: ZipMember): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** Members of an archive, and how much they may be. */
const MAX_MEMBERS = 200_000;
const MAX_UNPACKED = 64 * 1024 ** 3;

/** What is packed better than this is made to fill disks. */
const MAX_RATIO = 200;
const SMALL = 256 * 1024 ** 2;

/** Opens an archive; `what` is its name in messages. Throws `E_FORMAT` for one that is not sound. The caller closes it. */
export async function openZip(path: string, what: string): Promise<ZipArchive> {
  const file = await open(path);
  try {
    const zip = await yauzl.fromFdPromise(file.fd, { autoClose: false, decodeStrings: false }).catch(explained(what));
    const { size } = await file.stat();
    const members = await readMembers(zip, file, size, what);
    return {
      ...{ path, file, members },
      read: (member) => readMember(zip, member, what),
      // The one closes what the other has opened: that is done once.
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readMembers(zip: ZipFile, file: FileHandle, size: number, what: string): Promise<readonly ZipMember[]> {
  const start = zip.readEntryCursor as unknown as number;
  const entries = await listEntries(zip, what);
  const end = zip.readEntryCursor as unknown as number;
  await refuseTail(file, { start, end, size, entries: entries.length }, what);
  const names = new Set<string>();
  let unpacked = 0;
  for (const { fileName, uncompressedSize } of entries) {
    if (names.has(fileName)) throw formatError(what, `has \`${fileName}\` twice`);
    names.add(fileName);
    unpacked += uncompressedSize;
  }
  for (const { fileName } of entries) {
    const file = parentsOf(fileName).find((parent) => names.has(parent));
    if (file !== undefined) throw formatError(what, `has \`${file}\` both as a file and as a directory`);
  }
  if (unpacked > MAX_UNPACKED || (unpacked > SMALL && unpacked > MAX_RATIO * size)) {
    throw formatError(what, `would be ${unpacked} bytes when it is unpacked, of ${size}: it is made to fill disks`);
  }
  return locateMembers(zip, entries, start, what);
}

/** `a` and `a/b` of `a/b/c`. A directory's own name has a `/` at its end. */
function parentsOf(name: string): readonly string[] {
  const parts = name.replace(/\/$/, '').split('/');
  const above = parts.slice(0, name.endsWith('/') ? parts.length : -1);
  return above.map((_, index) => above.slice(0, index + 1).join('/'));
}

/** The names are decoded here, so that what is wrong with one is told with it. */
async function listEntries(zip: ZipFile, what: string): Promise<readonly Entry[]> {
  const entries: Entry[] = [];
  if (zip.entryCount > MAX_MEMBERS) throw formatError(what, `has more than ${MAX_MEMBERS} members`);
  try {
    for await (const entry of zip.eachEntry()) {
      entry.fileName = nameOf(entry, what);
      entries.push(entry);
    }
  } catch (error) {
    throw explainedError(what, error);
  }
  for (const entry of entries) refuseEntry(entry, what);
  return entries;
}

const UTF8 = 0x800;

/** Without the flag a name is in an encoding of DOS, for some; only ASCII is the same for all. */
function nameOf({ fileNameRaw, generalPurposeBitFlag: flags }: Entry, what: string): string {
  const name = fileNameRaw.toString('utf8');
  const isPlain = fileNameRaw.every((byte) => byte < 0x80);
  if (isPlain || ((flags & UTF8) !== 0 && Buffer.from(name).equals(fileNameRaw))) return name;
  throw formatError(what, `has a member \`${shown(name)}\` whose name is not UTF-8, or does not say that it is`);
}

const ENCRYPTED = 0x1;
const STORED = 0;
const DEFLATED = 8;
const UNIX = 3;
const FILE_TYPE = 0o170000;
const PLAIN_FILE = 0o100000;
const DIRECTORY = 0o040000;

function refuseEntry(entry: Entry, what: string): void {
  const { fileName: name, generalPurposeBitFlag: flags, compressionMethod: method } = entry;
  const fault = faultOfMemberName(name);
  if (fault !== undefined) throw formatError(what, `has a member \`${shown(name)}\` that ${fault}`);
  if ((flags & ENCRYPTED) !== 0) throw formatError(what, `has a member \`${name}\` that is encrypted`);
  if (method !== STORED && method !== DEFLATED) {
    throw formatError(
      what,
      `has a member \`${name}\` that is packed by method ${method}, which installers do not know`,
    );
  }
  const type = entry.versionMadeBy >> 8 === UNIX ? (entry.externalFileAttributes >>> 16) & FILE_TYPE : 0;
  if (type !== 0 && type !== PLAIN_FILE && type !== DIRECTORY) {
    throw formatError(what, `has a member \`${name}\` that is a link or a device, and no file`);
  }
  if (name.endsWith('/') && (entry.uncompressedSize > 0 || entry.compressedSize > 2)) {
    throw formatError(what, `has a directory \`${name}\` with bytes of its own`);
  }
}

const HEADER = 30;
const HAS_DESCRIPTOR = 0x8;

/** Signature or not, sizes of four bytes or of eight. */
const DESCRIPTORS = [12, 16, 20, 24];

/** Finds where each member is: they follow one another from the first byte to the directory. */
async function locateMembers(
  zip: ZipFile,
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
    const header = await zip.readLocalFileHeaderPromise(entry).catch(explained(what));
    const next = inOrder[index + 1]?.relativeOffsetOfLocalHeader ?? end;
    const bytes = start + HEADER + header.fileNameLength + header.extraFieldLength + compressedSize;
    const hasDescriptor = (entry.generalPurposeBitFlag & HAS_DESCRIPTOR) !== 0;
    const isSame =
      header.fileName.equals(entry.fileNameRaw) &&
      header.compressionMethod === entry.compressionMethod &&
      header.generalPurposeBitFlag === entry.generalPurposeBitFlag &&
      (hasDescriptor || header.crc32 === entry.crc32);
    if (!isSame) throw formatError(what, `says two things of \`${name}\`: before it, and in its directory`);
    if (next - bytes !== 0 && !(hasDescriptor && DESCRIPTORS.includes(next - bytes))) {
      throw formatError(what, `has bytes after \`${name}\` that belong to no member, or to two`);
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

const END = 22;
const END_SIGNATURE = 0x06054b50;
const END_64 = 56 + 20;
const END_64_SIGNATURE = 0x06064b50;

/** Behind the directory stands what closes the archive, which says the same of it, and nothing else. */
async function refuseTail(
  file: FileHandle,
  directory: { readonly start: number; readonly end: number; readonly size: number; readonly entries: number },
  what: string,
): Promise<void> {
  const { start, end, size, entries } = directory;
  const tail = size - end;
  const isLong = tail === END + END_64;
  if (tail !== END && !isLong) throw formatError(what, 'has bytes behind its directory, or a comment');
  const bytes = Buffer.alloc(tail);
  await file.read(bytes, 0, tail, end);
  const last = bytes.subarray(tail - END);
  const is = (value: number, expected: number, unknown: number) => value === expected || (isLong && value === unknown);
  const isSound =
    last.readUInt32LE(0) === END_SIGNATURE &&
    (!isLong || bytes.readUInt32LE(0) === END_64_SIGNATURE) &&
    is(last.readUInt16LE(8), entries, 0xffff) &&
    is(last.readUInt16LE(10), entries, 0xffff) &&
    is(last.readUInt32LE(12), end - start, 0xffff_ffff) &&
    is(last.readUInt32LE(16), start, 0xffff_ffff) &&
    (!isLong || (bytes.readBigUInt64LE(40) === BigInt(end - start) && bytes.readBigUInt64LE(48) === BigInt(start)));
  if (!isSound) throw formatError(what, 'has an end that says something else of its directory than is there');
}

async function* readMember(zip: ZipFile, member: ZipMember, what: string): AsyncGenerator<Buffer> {
  const { crc32 } = await import('node:zlib');
  let sum = 0;
  try {
    const stream = await zip.openReadStreamPromise(member.entry);
    for await (const piece of stream) {
      sum = crc32(piece, sum);
      yield piece;
    }
  } catch (error) {
    throw explainedError(`${what}, \`${member.name}\``, error);
  }
  if (sum !== member.crc32) throw formatError(what, `has a member \`${member.name}\` that is damaged (CRC)`);
}

/** What yauzl says of an archive is a fault of the archive; what the system says is not. */
function explainedError(what: string, error: unknown): unknown {
  if (error instanceof CarportError || !(error instanceof Error)) return error;
  const isSystem = 'syscall' in error;
  return isSystem ? error : formatError(what, 'is no sound zip archive', { cause: error });
}

function explained(what: string): (error: unknown) => never {
  return (error) => {
    throw explainedError(what, error);
  };
}

function shown(name: string): string {
  return JSON.stringify(name).slice(1, -1).slice(0, 100);
}
