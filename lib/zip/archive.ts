/**
 * Zip archives of strangers: which members one has, and their bytes. Every byte of the archive belongs to a member or to the
 * directory, once, and both say the same of it: so whoever reads it in another way sees the same.
 */

import { type FileHandle, open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { crc32, inflateRaw, type ZlibOptions } from 'node:zlib';
import type { Entry, RandomAccessReader, ZipFile } from 'yauzl';
import yauzl from 'yauzl';
import { formatError } from '../errors.js';
import { refuseTail } from './end.js';
import { explained, explainedError } from './fault.js';
import { dataOffset, HEADER, locateMembers } from './locate.js';
import { UNICODE_PATH, type ZipMember } from './member.js';
import { faultOfMemberName } from './member-name.js';
import { piecesOf, type ReadAt, windowOf } from './window.js';

/** An archive that is open, and sound as far as its directory goes. */
export interface ZipArchive {
  readonly path: string;
  readonly file: FileHandle;
  /** The bytes of the archive, of which what was read last is kept. */
  readonly readAt: ReadAt;
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
    const { size } = await file.stat();
    const readAt = windowOf(file);
    const zip = await yauzl
      .fromRandomAccessReaderPromise(readerOf(file, readAt), size, { autoClose: false, decodeStrings: false })
      .catch(explained(what));
    const members = await readMembers(zip, { readAt, size }, what);
    return {
      ...{ path, file, readAt, members },
      read: (member) => readMember(zip, readAt, member, what),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** What yauzl reads with: neighbours of what it has read before cost nothing. */
function readerOf(file: FileHandle, readAt: ReadAt): RandomAccessReader {
  const reader = new (yauzl.RandomAccessReader as unknown as new () => RandomAccessReader)();
  reader.read = (buffer, offset, length, position, done) => {
    readAt(position, length).then(
      (bytes) => {
        bytes.copy(buffer, offset);
        done(null);
      },
      (error: Error) => done(error),
    );
  };
  reader._readStreamForRange = (start, end) => Readable.from(piecesOf(file, { start, end }), { objectMode: false });
  return reader;
}

interface Opened {
  readonly readAt: ReadAt;
  /** Bytes. */
  readonly size: number;
}

async function readMembers(zip: ZipFile, { readAt, size }: Opened, what: string): Promise<readonly ZipMember[]> {
  const start = zip.readEntryCursor as unknown as number;
  const entries = await listEntries(zip, what);
  const end = zip.readEntryCursor as unknown as number;
  await refuseTail(readAt, { start, end, size, entries: entries.length }, what);
  const names = new Set<string>();
  let unpacked = 0;
  for (const { fileName, uncompressedSize } of entries) {
    if (names.has(fileName)) throw formatError(what, `has \`${fileName}\` twice`);
    names.add(fileName);
    unpacked += uncompressedSize;
  }
  const above = fileAbove(names);
  if (above !== undefined) throw formatError(what, `has \`${above}\` both as a file and as a directory`);
  if (unpacked > MAX_UNPACKED || (unpacked > SMALL && unpacked > MAX_RATIO * size)) {
    throw formatError(what, `would be ${unpacked} bytes when it is unpacked, of ${size}: it is made to fill disks`);
  }
  return locateMembers(readAt, entries, start, what);
}

/** A file that is a directory of another, too. A directory's own name has a `/` at its end. */
function fileAbove(names: ReadonlySet<string>): string | undefined {
  const directories = new Set<string>();
  for (const name of names) {
    // Those above one that was met were met, too.
    for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
      const directory = name.slice(0, at);
      if (names.has(directory)) return directory;
      if (directories.has(directory)) break;
      directories.add(directory);
    }
  }
  return undefined;
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
  if (entry.extraFields.some(({ id }) => id === UNICODE_PATH)) {
    throw formatError(what, `has a member \`${name}\` with a second name`);
  }
  if (name.endsWith('/') && (entry.uncompressedSize > 0 || entry.compressedSize > 2)) {
    throw formatError(what, `has a directory \`${name}\` with bytes of its own`);
  }
}

/** Bytes of a member, packed and unpacked, that is read at once. */
const AT_ONCE = { packed: 256 * 1024, size: 2 * 1024 * 1024 } as const;

async function* readMember(zip: ZipFile, readAt: ReadAt, member: ZipMember, what: string): AsyncGenerator<Buffer> {
  let sum = 0;
  const isSmall = member.entry.compressedSize <= AT_ONCE.packed && member.size <= AT_ONCE.size;
  try {
    for await (const piece of isSmall
      ? [await readSmall(readAt, member)]
      : await zip.openReadStreamPromise(member.entry)) {
      sum = crc32(piece, sum);
      yield piece;
    }
  } catch (error) {
    throw explainedError(`${what}, \`${member.name}\``, error);
  }
  if (sum !== member.crc32) throw formatError(what, `has a member \`${member.name}\` that is damaged (CRC)`);
}

const inflate = promisify<Buffer, ZlibOptions, Buffer>(inflateRaw);

/** Most members are small, and a stream for each would cost more than what it reads. */
async function readSmall(readAt: ReadAt, { entry, span, size }: ZipMember): Promise<Buffer> {
  const offset = dataOffset(await readAt(span.start, HEADER));
  const packed = await readAt(span.start + offset, entry.compressedSize);
  const bytes = entry.compressionMethod === STORED ? packed : await inflate(packed, { maxOutputLength: size + 1 });
  if (bytes.length === size) return bytes;
  throw new Error(`it has ${bytes.length} bytes, and the directory says ${size}`);
}

function shown(name: string): string {
  return JSON.stringify(name).slice(1, -1).slice(0, 100);
}
