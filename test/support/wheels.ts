import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';

/** A wheel for tests: what is in it, and where it lies about itself. */
export interface TestWheel {
  readonly project?: string;
  readonly version?: string;
  /** The end of its name: build tag and tags. */
  readonly tags?: string;
  /** Those of its `WHEEL`. */
  readonly ownTags?: readonly string[];
  /** More lines of its `METADATA`. */
  readonly metadata?: string;
  /** Contents by name, beside its own. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  readonly requiresPython?: string;
  /** Changes its `RECORD`. */
  record?(text: string): string;
  /** Changes its members, after its `RECORD` was made. */
  members?(members: readonly TestMember[]): readonly TestMember[];
  /** Changes its bytes. */
  bytes?(bytes: Buffer): Buffer;
}

/** A member of an archive. */
export interface TestMember {
  readonly name: string;
  readonly content: string | Uint8Array;
  /** In the header before it, where that is another. */
  readonly localName?: string;
  readonly localCrc?: number;
  readonly localSize?: number;
  readonly localExtra?: Buffer;
  /** What stands behind it. */
  readonly descriptor?: Buffer;
  /** In the directory, where it is another. */
  readonly size?: number;
  readonly mode?: number;
  readonly flags?: number;
  readonly method?: number;
}

/** The name of a wheel. */
export function wheelNameOf({
  project = 'demo_pkg',
  version = '1.0rc1',
  tags = 'py3-none-any',
}: TestWheel = {}): string {
  return `${project}-${version}-${tags}.whl`;
}

export function wheelBytes(wheel: TestWheel = {}): Buffer {
  const { project = 'demo_pkg', version = '1.0rc1', ownTags = ['py3-none-any'], requiresPython = '>=3.8' } = wheel;
  const info = `${project}-${version}.dist-info`;
  const files: Record<string, string | Uint8Array> = {
    [`${project}/__init__.py`]: `VALUE = "it works"\n`,
    [`${project}/version.py`]: `version = "${version}"\n`,
    [`${project}-${version}.data/data/share/demo.txt`]: 'data\n'.repeat(200),
    ...wheel.files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${project.replaceAll('_', '.')}\nVersion: ${version}\nSummary: A demo\nDescription-Content-Type: text/plain\nRequires-Python: ${requiresPython}\n${wheel.metadata ?? ''}\nWhat it is.\n`,
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n${ownTags.map((tag) => `Tag: ${tag}\n`).join('')}`,
  };
  const rows = Object.entries(files).map(
    ([name, content]) => `${name},sha256=${hashOf(content)},${Buffer.from(content).length}\n`,
  );
  const record = `${rows.join('')}${info}/RECORD,,\n`;
  const all = { ...files, [`${info}/RECORD`]: wheel.record?.(record) ?? record };
  const members = Object.entries(all).map(([name, content]) => ({ name, content }));
  const bytes = zipBytes(wheel.members?.(members) ?? members);
  return wheel.bytes?.(bytes) ?? bytes;
}

/** Writes a wheel into a directory; gives its path. */
export async function writeWheel(directory: string, wheel: TestWheel = {}): Promise<string> {
  const path = join(directory, wheelNameOf(wheel));
  await writeFile(path, wheelBytes(wheel));
  return path;
}

function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('base64url');
}

/** An archive, deflated, of just these members. */
export function zipBytes(members: readonly TestMember[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const member of members) {
    const { name, content, mode = 0o100644, flags = 0, method = 8 } = member;
    const plain = Buffer.from(content);
    const packed = deflateRawSync(plain);
    const localName = Buffer.from(member.localName ?? name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(0x5021, 12);
    local.writeUInt32LE(member.localCrc ?? crc32(plain), 14);
    local.writeUInt32LE(packed.length, 18);
    local.writeUInt32LE(member.localSize ?? member.size ?? plain.length, 22);
    local.writeUInt16LE(localName.length, 26);
    const { localExtra: extra = Buffer.alloc(0), descriptor = Buffer.alloc(0) } = member;
    local.writeUInt16LE(extra.length, 28);
    const bytes = Buffer.from(name);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE((3 << 8) | 20, 4);
    central.writeUInt16LE(20, 6);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    central.writeUInt16LE(0x5021, 14);
    central.writeUInt32LE(crc32(plain), 16);
    central.writeUInt32LE(packed.length, 20);
    central.writeUInt32LE(member.size ?? plain.length, 24);
    central.writeUInt16LE(bytes.length, 28);
    central.writeUInt32LE((mode << 16) >>> 0, 38);
    central.writeUInt32LE(at, 42);
    locals.push(local, localName, extra, packed, descriptor);
    directory.push(central, bytes);
    at += local.length + localName.length + extra.length + packed.length + descriptor.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...locals, entries, end]);
}

/** A member of a tar archive. */
export interface TestTarMember {
  readonly name: string;
  readonly content?: string;
  readonly type?: 'file' | 'symlink' | 'link' | 'directory' | 'character-device';
  readonly linkname?: string;
}

/** A source distribution with more members than it needs. */
export async function sdistBytes(more: readonly TestTarMember[] = [], stem = 'demo_pkg-1.0rc1'): Promise<Buffer> {
  const version = stem.slice(stem.lastIndexOf('-') + 1);
  return tarBytes([
    { name: `${stem}/pyproject.toml`, content: '[build-system]\nrequires = []\n' },
    ...more,
    { name: `${stem}/PKG-INFO`, content: `Metadata-Version: 2.1\nName: Demo-Pkg\nVersion: ${version}\n` },
  ]);
}

export async function tarBytes(members: readonly TestTarMember[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content = '', type = 'file', linkname } of members) {
    archive.entry({ name, type, ...(linkname !== undefined && { linkname }) }, content);
  }
  archive.finalize();
  const pieces: Buffer[] = [];
  for await (const piece of archive as AsyncIterable<Buffer>) pieces.push(piece);
  return gzipSync(Buffer.concat(pieces));
}
