/** Makes the wheel of a version of that of another, such as the final of a candidate, without a build. */

import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { CarportError, hasCode, isErrno } from '../../lib/errors.js';
import { writeAtomically, writeStream } from '../../lib/filesystem/atomic-write.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { escapeVersion, isWheelFile, type WheelName } from '../../lib/python/file-name.js';
import {
  comparePythonVersions,
  isFinalVersion,
  isSameReleaseNumber,
  type PythonVersion,
  parsePythonVersion,
  renderPythonVersion,
} from '../../lib/python/version.js';
import { writeZip } from '../../lib/zip/write.js';
import { digestOf, type FileDigest, readLocalFile } from '../put/local-file.js';
import { checkWheel } from './check-wheel.js';
import { openWheel } from './read-wheel.js';
import { retaggedMembers } from './retag-members.js';
import { remainsOf } from './retag-remains.js';

/** What wheel is to be made, and where. */
export interface RetagRequest {
  /** The wheel that is there. */
  readonly path: string;
  /** In any spelling. */
  readonly version: string;
  /** The directory; that of the wheel where it is not said. */
  readonly out?: string | undefined;
  /** Also a version with another release number, or one that is not final. */
  readonly allowOther: boolean;
}

/** A wheel that was made. */
export interface RetaggedWheel extends FileDigest {
  readonly path: string;
  /** In normal form. */
  readonly version: string;
  readonly state: 'written' | 'unchanged';
  readonly madeFrom: { readonly file: string; readonly sha256: string; readonly version: string };
  /** Where its old version still stands, in sentences. */
  readonly remains: readonly string[];
}

/**
 * Makes a wheel of another under its new version: `Version` in `METADATA`, the names of `.dist-info` and `.data`, `RECORD` and
 * the name of the file; all other members are what they were, byte by byte. The same for the same wheel on any machine. What it
 * was made of is in it, as `carport-retag.json`. Throws `E_USAGE` for what is no wheel and for a version that does not fit, and
 * as `checkWheel` for a wheel that is not what it says.
 */
export async function retagWheel({
  path,
  version: wanted,
  out = dirname(path),
  allowOther,
}: RetagRequest): Promise<RetaggedWheel> {
  const fileName = basename(path);
  if (!isWheelFile(fileName)) throw noWheel(path);
  const version = versionOf(wanted);
  const digest = await readLocalFile(path).catch(explainMissing(path));
  await checkWheel(path, fileName);
  const wheel = await openWheel(path, fileName);
  try {
    const { metadata } = wheel;
    const madeFrom = { file: fileName, sha256: digest.sha256, version: renderPythonVersion(metadata.version) };
    if (!allowOther) refuseVersion(fileName, metadata.version, version);
    const text = renderPythonVersion(version);
    const members = retaggedMembers(wheel, text, madeFrom);
    const target = join(out, fileNameOf(wheel.name, text));
    const make = () => writeZip(wheel.archive, members);
    const there = await readLocalFile(target).catch(insteadOfMissing);
    const made = there ? await digestOf(make()) : await write(target, make);
    if (there && there.sha256 !== made.sha256) throw otherThere(target);
    const remains = await remainsOf(wheel, metadata.versionText);
    return { path: target, version: text, ...made, state: there ? 'unchanged' : 'written', madeFrom, remains };
  } finally {
    await wheel.archive.close();
  }
}

/** Writes the wheel and checks it as any other before it has its name. */
async function write(target: string, make: () => AsyncIterable<Uint8Array>): Promise<FileDigest> {
  await makeDirectory(dirname(target));
  return writeAtomically(target, async (temporary) => {
    const hasher = createHash('sha256');
    const hashed = async function* () {
      for await (const piece of make()) {
        hasher.update(piece);
        yield piece;
      }
    };
    const size = await writeStream(temporary, hashed());
    await checkWheel(temporary, basename(target));
    return { size, sha256: hasher.digest('hex') };
  });
}

function fileNameOf({ project, build, python, abi, platform }: WheelName, version: string): string {
  const tags = [python, abi, platform].map((set) => set.join('.'));
  return `${[project, escapeVersion(version), ...(build === undefined ? [] : [build]), ...tags].join('-')}.whl`;
}

function versionOf(text: string): PythonVersion {
  try {
    return parsePythonVersion(text);
  } catch (error) {
    if (!hasCode(error, 'E_FORMAT')) throw error;
    throw new CarportError('E_USAGE', `\`--version ${text}\` is no version as Python packages have them`, {
      hint: 'give one such as `1.2.0` or `1.2.0+cu128` (PEP 440)',
    });
  }
}

function refuseVersion(fileName: string, from: PythonVersion, to: PythonVersion): void {
  const [was, is] = [renderPythonVersion(from), renderPythonVersion(to)];
  const other = '`--allow-other-version` makes it all the same';
  if (comparePythonVersions(from, to) === 0) {
    throw new CarportError('E_USAGE', `\`${fileName}\` is of version ${was} already`, { hint: 'give another version' });
  }
  if (!isSameReleaseNumber(from, to)) {
    throw new CarportError('E_USAGE', `\`${fileName}\` is of ${was}, and ${is} is another release`, {
      hint: `give a version of the same number, such as \`${renderPythonVersion({ ...from, ...FINAL, local: [] })}\`; ${other}`,
    });
  }
  if (!isFinalVersion(to)) {
    throw new CarportError('E_USAGE', `${is} is not final`, {
      hint: `give the version without what makes it a candidate; ${other}`,
    });
  }
}

const FINAL = { pre: undefined, post: undefined, dev: undefined } as unknown as object;

function noWheel(path: string): CarportError {
  const isSdist = /\.(tar\.gz|zip)$/.test(path);
  return new CarportError('E_USAGE', `\`${path}\` is no wheel`, {
    hint: isSdist
      ? 'a source distribution has its version in files that only its build knows: build it again from the tag of the new version'
      : 'name a file that ends with `.whl`',
  });
}

function otherThere(path: string): CarportError {
  return new CarportError('E_USAGE', `\`${path}\` is there with other bytes`, {
    hint: 'move it away, or give another directory with `--out`',
  });
}

function insteadOfMissing(error: unknown): undefined {
  if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
}

function explainMissing(path: string): (error: unknown) => never {
  return (error) => {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw new CarportError('E_NOT_FOUND', `there is no file \`${path}\``, { hint: 'check the path' });
  };
}
