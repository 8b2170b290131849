/** Files of a project, read to be changed, and changed all or not at all. */

import { chmod, chown, copyFile, link, open, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { createTemporaryNames, removeLeftovers } from '../../lib/filesystem/temporary.js';
import type { Codec } from './keyed.js';

/** A file as it was read. */
export interface ProjectFile {
  /** As it was named, relative to the project. */
  readonly name: string;
  /** Where it is, links followed. */
  readonly path: string;
  /** A character for each byte, unless it is UTF-16. */
  readonly text: string;
  readonly codec: FileCodec;
}

interface FileCodec extends Codec {
  /** UTF-16. */
  readonly isWide: boolean;
  toBytes(text: string): Buffer;
}

/** A file with its new text. */
export interface Edit {
  readonly file: ProjectFile;
  readonly text: string;
}

/** Bytes of a file with a version. */
const MAX_FILE = 16 * 1024 * 1024;

/**
 * A file of a project. `missing` tells people what to do where there is none. Throws `E_NOT_FOUND` where it is not there, and
 * `E_USAGE` where it is no file, is outside of the project by a link, or is larger than 16 MiB.
 */
export async function readProjectText(directory: string, name: string, missing: string): Promise<ProjectFile> {
  const bytes = await readInside(directory, name, missing);
  const codec = codecOf(bytes.content);
  return { name, path: bytes.path, text: toText(bytes.content, codec), codec };
}

async function readInside(
  directory: string,
  name: string,
  missing: string,
): Promise<{ readonly path: string; readonly content: Buffer }> {
  let file: Awaited<ReturnType<typeof open>> | undefined;
  try {
    const [root, path] = await Promise.all([realpath(directory), realpath(join(directory, name))]);
    const inside = path.slice(root.length).split(sep);
    if (!path.startsWith(root === sep ? sep : root + sep) || inside.includes('.git')) {
      throw new CarportError('E_USAGE', `\`${name}\` leads outside the project`, {
        hint: 'name the file itself, or take the link away',
      });
    }
    const stats = await stat(path);
    if (!stats.isFile()) throw new CarportError('E_USAGE', `\`${name}\` is no file`);
    if (stats.size > MAX_FILE) {
      throw new CarportError('E_USAGE', `\`${name}\` has more than ${MAX_FILE / 1024 / 1024} MiB`);
    }
    file = await open(path, 'r');
    return { path, content: await file.readFile() };
  } catch (cause) {
    if (cause instanceof CarportError) throw cause;
    if (isErrno(cause, 'ENOENT', 'ENOTDIR')) {
      throw new CarportError('E_NOT_FOUND', `there is no file \`${name}\` in \`${directory}\``, { hint: missing });
    }
    throw new CarportError('E_IO', `\`${name}\` cannot be read`, { cause });
  } finally {
    await file?.close();
  }
}

/** UTF-16 by its mark. All else is bytes, of which the version is ASCII. */
function codecOf(bytes: Buffer): FileCodec {
  const mark = bytes.subarray(0, 2).toString('hex');
  const isEven = bytes.length % 2 === 0;
  if (isEven && mark === 'fffe') return UTF16;
  if (isEven && mark === 'feff') return { ...UTF16, toBytes: (text) => Buffer.from(text, 'utf16le').swap16() };
  return {
    isWide: false,
    encodeText: (text) => Buffer.from(text).toString('latin1'),
    decodeText: (text) => Buffer.from(text, 'latin1').toString('utf8'),
    toBytes: (text) => Buffer.from(text, 'latin1'),
  };
}

const UTF16: FileCodec = {
  isWide: true,
  encodeText: (text) => text,
  decodeText: (text) => text,
  toBytes: (text) => Buffer.from(text, 'utf16le'),
};

function toText(bytes: Buffer, { isWide, toBytes }: FileCodec): string {
  const text = bytes.toString(isWide ? 'utf16le' : 'latin1');
  return !isWide || toBytes(text).equals(bytes) ? text : Buffer.from(bytes).swap16().toString('utf16le');
}

interface Made {
  readonly edit: Edit;
  readonly temporary: string;
  readonly backup: string;
}

/**
 * Writes all of them, or none: all are written under other names first, and then renamed. Where one cannot be, those before it get
 * back what they had. Modes stay, and so do links to them. Throws `E_UNAVAILABLE` where somebody else has changed one meanwhile,
 * `E_IO` where one cannot be written; what cannot get back what it had keeps that beside it, and the error says where.
 */
export async function writeAll(directory: string, edits: readonly Edit[]): Promise<void> {
  const made: Made[] = [];
  const done: Made[] = [];
  try {
    for (const edit of edits) made.push(await prepare(edit, directory));
    for (const each of made) {
      // Not every file system has hard links.
      await link(each.edit.file.path, each.backup).catch(() => copyFile(each.edit.file.path, each.backup));
      await rename(each.temporary, each.edit.file.path);
      done.push(each);
    }
  } catch (cause) {
    const lost = await rollBack(done);
    for (const each of lost) made.splice(made.indexOf(each), 1);
    if (lost.length > 0) throw notRolledBack(lost, cause);
    if (cause instanceof CarportError) throw cause;
    throw new CarportError('E_IO', 'a file cannot be written: all of them are as they were', { cause });
  } finally {
    for (const { temporary, backup } of made) {
      for (const name of [temporary, backup]) await unlink(name).catch(() => undefined);
    }
  }
}

/** Gives those that did not get back what they had. */
async function rollBack(done: readonly Made[]): Promise<readonly Made[]> {
  const lost: Made[] = [];
  for (const each of done) await rename(each.backup, each.edit.file.path).catch(() => lost.push(each));
  return lost;
}

function notRolledBack(lost: readonly Made[], cause: unknown): CarportError {
  const names = lost.map(({ edit }) => `\`${edit.file.name}\``).join(', ');
  const backups = lost.map(({ backup }) => `\`${backup}\``).join(', ');
  return new CarportError('E_IO', `a file cannot be written, nor get back what they had: ${names}`, {
    cause,
    hint: `what they had is in ${backups}`,
  });
}

async function prepare({ file, text }: Edit, directory: string) {
  const parent = join(file.path, '..');
  await removeLeftovers(parent);
  const name = await createTemporaryNames(parent);
  const [temporary, backup] = [name(), name()];
  const { mode, uid, gid } = await stat(file.path);
  try {
    await writeFile(temporary, file.codec.toBytes(text), { flag: 'wx', mode: mode & 0o777 });
    if (process.getuid?.() === 0) await chown(temporary, uid, gid);
    await chmod(temporary, mode & 0o7777);
    const now = await readInside(directory, file.name, 'try again');
    if (!now.content.equals(file.codec.toBytes(file.text)) || now.path !== file.path) {
      throw new CarportError('E_UNAVAILABLE', `somebody else has changed \`${file.name}\` just now`, {
        hint: 'try again',
      });
    }
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  return { edit: { file, text }, temporary, backup };
}
