/** Checks that a source distribution is what its name and its `PKG-INFO` say (PEP 625, 643), and harms nobody who unpacks it. */

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { CarportError, formatError } from '../../lib/errors.js';
import { normalizeProject, parseSdistName, type SdistName } from '../../lib/python/file-name.js';
import { MAX_METADATA, parseMetadata } from '../../lib/python/metadata.js';
import { comparePythonVersions, renderPythonVersion, tryPythonVersion } from '../../lib/python/version.js';
import { faultOfMemberName } from '../../lib/zip/member-name.js';
import type { CheckedPython } from './facts.js';

/** What is packed better than this is made to fill disks. */
const MAX_RATIO = 200;
const SMALL = 256 * 1024 ** 2;
const MAX_UNPACKED = 16 * 1024 ** 3;
const MAX_MEMBERS = 200_000;

/** What was seen of an archive. */
interface Seen {
  readonly names: Set<string>;
  /** Directories that members lie in. */
  readonly directories: Set<string>;
  readonly links: Set<string>;
  /** The one directory that all is in. */
  top?: string;
  /** The first member that should not be there. */
  fault?: string;
  metadata?: Buffer;
  unpacked: number;
}

/**
 * Checks the archive at a path, which is to be called `fileName`. `undefined` for one that is no source distribution: other
 * archives may be called so, too, but have no `PKG-INFO` in the directory of that name. Throws `E_FORMAT` for one that is one,
 * and is not what it should be.
 */
export async function checkSdist(path: string, fileName: string): Promise<CheckedPython | undefined> {
  const what = `source distribution \`${fileName}\``;
  const name = parseSdistName(fileName);
  if (!name) return undefined;
  const seen: Seen = { names: new Set(), directories: new Set(), links: new Set(), unpacked: 0 };
  const { size } = await stat(path);
  try {
    await look(path, name, size, seen);
  } catch (error) {
    // A damaged archive that began as another thing is another thing.
    if (seen.top === undefined || isSystem(error)) {
      if (isSystem(error)) throw error;
      return undefined;
    }
    throw formatError(what, 'is no sound archive', { cause: error });
  }
  if (!seen.metadata) return undefined;
  if (seen.fault !== undefined) throw formatError(what, seen.fault);
  const metadata = parseMetadata(`${what}, \`PKG-INFO\``, seen.metadata);
  if (normalizeProject(metadata.name) !== normalizeProject(name.project)) {
    throw formatError(
      what,
      `is of the project \`${metadata.name}\` by its \`PKG-INFO\`, and its name says \`${name.project}\``,
    );
  }
  if (comparePythonVersions(metadata.version, name.version) !== 0) {
    throw formatError(
      what,
      `is of version ${metadata.versionText} by its \`PKG-INFO\`, and its name says ${name.versionText}`,
    );
  }
  const { requiresPython = null, version } = metadata;
  const facts = { name: metadata.name, version: renderPythonVersion(version), requiresPython, metadataSha256: null };
  return { facts, document: seen.metadata };
}

async function look(path: string, name: SdistName, size: number, seen: Seen): Promise<void> {
  const archive = extract();
  const source = createReadStream(path);
  const unpacked = createGunzip();
  const fail = (error: Error) => archive.destroy(error);
  source.on('error', fail);
  unpacked.on('error', fail);
  source.pipe(unpacked).pipe(archive as unknown as NodeJS.WritableStream);
  try {
    for await (const entry of archive) {
      const { header } = entry;
      if (!isInTop(header.name, name, seen)) return;
      const fault = seen.fault ?? faultOf(header, seen);
      if (fault !== undefined) seen.fault = fault;
      const isMetadata = header.name === `${seen.top}/PKG-INFO` && header.type === 'file' && !seen.metadata;
      const pieces: Buffer[] = [];
      let length = 0;
      for await (const piece of entry as AsyncIterable<Buffer>) {
        length += piece.length;
        seen.unpacked += piece.length;
        if (isTooMuch(seen, size)) {
          seen.fault ??= `has ${seen.unpacked} bytes and more when it is unpacked, of ${size}: it is made to fill disks`;
          return;
        }
        if (isMetadata && length <= MAX_METADATA) pieces.push(piece);
      }
      if (isMetadata && length > MAX_METADATA) seen.fault ??= `has a \`PKG-INFO\` of ${length} bytes`;
      if (isMetadata) seen.metadata = Buffer.concat(pieces);
    }
  } finally {
    source.destroy();
    unpacked.destroy();
    archive.destroy();
  }
}

function isTooMuch({ unpacked, names }: Seen, size: number): boolean {
  return unpacked > MAX_UNPACKED || names.size > MAX_MEMBERS || (unpacked > SMALL && unpacked > MAX_RATIO * size);
}

/** Whether the archive may be one still: its first member is in a directory of the name and version. */
function isInTop(member: string, { project, version }: SdistName, seen: Seen): boolean {
  if (seen.top !== undefined) return true;
  const top = member.replace(/^\.\//, '').split('/', 1)[0] ?? '';
  const at = top.lastIndexOf('-');
  const its = tryPythonVersion(top.slice(at + 1));
  if (at < 1 || !its || normalizeProject(top.slice(0, at)) !== normalizeProject(project)) return false;
  if (comparePythonVersions(its, version) !== 0) return false;
  seen.top = top;
  return true;
}

/** Why a member should not be there, as installers see it (PEP 706). */
function faultOf({ name, type, linkname }: Header, seen: Seen): string | undefined {
  const { names, directories, links, top } = seen;
  const shown = `\`${JSON.stringify(name).slice(1, -1).slice(0, 100)}\``;
  const fault = faultOfMemberName(name);
  if (fault !== undefined) return `has a member ${shown} that ${fault}`;
  const plain = name.replace(/\/$/, '');
  if (plain !== top && !plain.startsWith(`${top}/`)) return `has a member ${shown} beside \`${top}/\``;
  if (names.has(plain) && type !== 'directory') return `has ${shown} twice`;
  names.add(plain);
  const link = directoriesAbove(plain, directories).find((directory) => links.has(directory));
  if (link !== undefined) return `has a member ${shown} below a link`;
  if (type !== 'directory' && directories.has(plain)) return `has ${shown} both as a directory and as something else`;
  if (type === 'file' || type === 'contiguous-file' || type === 'directory') return undefined;
  if (type !== 'link' && type !== 'symlink') return `has a member ${shown} that is a device`;
  // A symbolic link begins where it lies, another at the top.
  const target = linkname ?? '';
  const leads = type === 'symlink' ? posix.join(posix.dirname(plain), target) : posix.normalize(target);
  if (type === 'symlink') links.add(plain);
  // What climbs out of a directory that is a link itself comes out elsewhere.
  if (climbsOut(target)) return `has a link ${shown} that does not lead straight where it leads`;
  const isInside = !target.startsWith('/') && (leads === top || leads.startsWith(`${top}/`));
  return isInside ? undefined : `has a link ${shown} that leads outside`;
}

function climbsOut(target: string): boolean {
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  return parts.lastIndexOf('..') > parts.findIndex((part) => part !== '..') && parts.some((part) => part !== '..');
}

/** All that a member lies in. */
function directoriesAbove(name: string, met: Set<string>): readonly string[] {
  const above: string[] = [];
  for (let at = name.lastIndexOf('/'); at > 0; at = name.lastIndexOf('/', at - 1)) {
    const directory = name.slice(0, at);
    above.push(directory);
    met.add(directory);
  }
  return above;
}

function isSystem(error: unknown): boolean {
  return error instanceof CarportError || (error instanceof Error && 'syscall' in error);
}
