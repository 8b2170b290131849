/** Zip archives that are made of another: members as they were, under other names, and members of new bytes. */

import { crc32 } from 'node:zlib';
import { CarportError } from '../errors.js';
import type { ZipArchive } from './archive.js';
import type { ZipMember } from './member.js';
import { piecesOf } from './window.js';

/** A member of the new archive: one of the old, under a name, perhaps with other bytes; or one that is not in the old. */
export interface NewMember {
  readonly name: string;
  /** What its bytes are of, and its date and permissions in any case. */
  readonly like: ZipMember;
  /** In place of what the old one has. They are stored as they are, so that no compressor decides what comes out. */
  readonly bytes?: Uint8Array;
}

const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL = 30;
const CENTRAL_SIGNATURE = 0x02014b50;
const CENTRAL = 46;
const END_SIGNATURE = 0x06054b50;
const UTF8 = 0x800;

/** Offsets and counts have 32 and 16 bits in archives as they were before zip64. */
const MAX_OFFSET = 0xffff_ffff;
const MAX_MEMBERS = 0xffff;

/**
 * The bytes of an archive with these members, in their order. What is not changed is copied as it is packed. The same for the
 * same input on any machine. Throws `E_UNSUPPORTED` for an archive of 4 GiB.
 */
export async function* writeZip(from: ZipArchive, members: readonly NewMember[]): AsyncGenerator<Uint8Array> {
  const directory: Buffer[] = [];
  let at = 0;
  for (const member of members) {
    const { local, central, rest } = member.bytes ? ownHeaders(member, member.bytes) : await oldHeaders(from, member);
    if (at > MAX_OFFSET || members.length > MAX_MEMBERS) throw tooLarge(from.path);
    central.writeUInt32LE(at, 42);
    directory.push(central);
    yield local;
    at += local.length;
    if (rest instanceof Uint8Array) {
      yield rest;
      at += rest.length;
    } else {
      yield* piecesOf(from.file, rest);
      at += rest.end - rest.start;
    }
  }
  const entries = Buffer.concat(directory);
  if (at + entries.length > MAX_OFFSET) throw tooLarge(from.path);
  yield entries;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END_SIGNATURE, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(at, 16);
  yield end;
}

interface Headers {
  readonly local: Buffer;
  readonly central: Buffer;
  /** The bytes behind the local header, or where they are. */
  readonly rest: Uint8Array | { readonly start: number; readonly end: number };
}

/** Of a member that is copied: its own, with another name. */
async function oldHeaders({ readAt, path }: ZipArchive, { name, like }: NewMember): Promise<Headers> {
  const { start, end } = like.span;
  const { entry } = like;
  if ([entry.compressedSize, entry.uncompressedSize].some((size) => size >= MAX_OFFSET)) throw tooLarge(path);
  const header = Buffer.from(await readAt(start, LOCAL));
  const oldName = header.readUInt16LE(26);
  const extra = await readAt(start + LOCAL + oldName, header.readUInt16LE(28));
  const bytes = Buffer.from(name);
  const flags = flagsFor(name, entry.generalPurposeBitFlag);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(bytes.length, 26);
  const central = Buffer.alloc(CENTRAL);
  central.writeUInt16LE(entry.versionNeededToExtract, 6);
  central.writeUInt16LE(entry.compressionMethod, 10);
  central.writeUInt32LE(entry.compressedSize, 20);
  fillCentral(central, like, bytes, flags, entry.extraFieldRaw.length);
  central.writeUInt32LE(entry.crc32, 16);
  central.writeUInt32LE(entry.uncompressedSize, 24);
  return {
    local: Buffer.concat([header, bytes, extra]),
    central: Buffer.concat([central, bytes, entry.extraFieldRaw]),
    rest: { start: start + LOCAL + oldName + extra.length, end },
  };
}

/** Of new bytes, which are stored. */
function ownHeaders({ name, like }: NewMember, content: Uint8Array): Headers {
  const bytes = Buffer.from(name);
  const flags = flagsFor(name, 0);
  const sum = crc32(content);
  const local = Buffer.alloc(LOCAL);
  local.writeUInt32LE(LOCAL_SIGNATURE, 0);
  local.writeUInt16LE(20, 4);
  local.writeUInt16LE(flags, 6);
  local.writeUInt16LE(like.entry.lastModFileTime, 10);
  local.writeUInt16LE(like.entry.lastModFileDate, 12);
  local.writeUInt32LE(sum, 14);
  local.writeUInt32LE(content.length, 18);
  local.writeUInt32LE(content.length, 22);
  local.writeUInt16LE(bytes.length, 26);
  const central = Buffer.alloc(CENTRAL);
  central.writeUInt16LE(20, 6);
  central.writeUInt32LE(content.length, 20);
  fillCentral(central, like, bytes, flags, 0);
  central.writeUInt32LE(sum, 16);
  central.writeUInt32LE(content.length, 24);
  return { local: Buffer.concat([local, bytes]), central: Buffer.concat([central, bytes]), rest: content };
}

function fillCentral(central: Buffer, { entry }: ZipMember, name: Buffer, flags: number, extra: number): void {
  central.writeUInt32LE(CENTRAL_SIGNATURE, 0);
  central.writeUInt16LE(entry.versionMadeBy, 4);
  central.writeUInt16LE(flags, 8);
  central.writeUInt16LE(entry.lastModFileTime, 12);
  central.writeUInt16LE(entry.lastModFileDate, 14);
  central.writeUInt16LE(name.length, 28);
  central.writeUInt16LE(extra, 30);
  central.writeUInt16LE(entry.internalFileAttributes, 36);
  central.writeUInt32LE(entry.externalFileAttributes, 38);
}

function flagsFor(name: string, flags: number): number {
  return /^[\x20-\x7e]*$/.test(name) ? flags : flags | UTF8;
}

function tooLarge(path: string): CarportError {
  return new CarportError(
    'E_UNSUPPORTED',
    `\`${path}\` is too large: it would be 4 GiB or more, or have 65,536 members`,
    {
      hint: 'build it again under the new version',
    },
  );
}
