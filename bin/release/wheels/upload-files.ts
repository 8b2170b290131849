/** The files that `release upload-pypi` sends: those of a signed release, or files of this machine. */

import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CarportError } from '../../../lib/errors.js';
import { writeStream } from '../../../lib/filesystem/atomic-write.js';
import type { ObjectStore } from '../../../lib/object-store/object-store.js';
import { isWheelFile, parseSdistName } from '../../../lib/python/file-name.js';
import type { TrustPolicy } from '../../../lib/signing/trust.js';
import { readLocalFile } from '../../../release/put/local-file.js';
import { candidateOf, filesOf, type ReleaseFile, yankOf } from '../../../release/sources/candidate.js';
import { readSources } from '../../../release/sources/sources.js';
import { checkPython } from '../../../release/wheels/check.js';
import type { FileToUpload } from '../../../release/wheels/upload/session.js';
import { findLocalFiles } from '../local-files.js';

/**
 * The wheels and source distributions of a release, as trusted keys have signed them. Each is fetched into `directory` when it is sent. Throws for a
 * release that is not signed as a whole (`E_SIGNATURE`), that is yanked (`E_GATE`), and that has no such files (`E_NOT_FOUND`).
 */
export async function filesOfBucket(
  objects: ObjectStore,
  policy: TrustPolicy,
  version: string,
  directory: string,
): Promise<readonly FileToUpload[]> {
  const candidate = candidateOf(version, await readSources(objects, policy, version));
  const yank = yankOf(candidate);
  if (yank !== undefined) throw new CarportError('E_GATE', yank, { hint: 'send another release' });
  const all = filesOf(version, candidate.fragments);
  const unknown = all.find(({ name, python }) => isWheelFile(name) && !python);
  if (unknown) {
    throw new CarportError('E_USAGE', `\`${unknown.key}\` was put without having been checked`, {
      hint: 'put it again with `carport release put`: what is wrong with it is told then',
    });
  }
  const files = all
    .filter(({ python }) => python !== undefined)
    .map((file): FileToUpload => {
      const { name, size, sha256, python } = file;
      const withFile = <T>(use: (path: string) => Promise<T>) => fetched(objects, file, directory, use);
      return { name, project: python!.name, size, sha256, withFile };
    });
  if (files.length > 0) return inOrder(files);
  throw new CarportError('E_NOT_FOUND', `\`${version}\` has no wheels and no source distributions`, {
    hint: '`carport release show VERSION` lists what it has',
  });
}

async function fetched<T>(
  objects: ObjectStore,
  { key, name, size, sha256 }: ReleaseFile,
  directory: string,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const object = await objects.open(key);
  if (!object) {
    throw new CarportError('E_NOT_FOUND', `\`${objects.url}\` has no \`${key}\` any more`, {
      hint: 'publish the release there again',
    });
  }
  const path = join(directory, name);
  try {
    await writeStream(path, object.bytes());
    const found = await readLocalFile(path);
    if (found.size === size && found.sha256 === sha256) return await use(path);
    throw new CarportError('E_INTEGRITY', `\`${key}\` is not what was signed`, {
      cause: new Error(`signed: sha256 ${sha256}, ${size} bytes; there: sha256 ${found.sha256}, ${found.size} bytes`),
      hint: 'find out who has changed it; nothing of it was sent',
    });
  } finally {
    await rm(path, { force: true });
  }
}

/** Files of this machine, all checked before the first is sent. */
export async function filesOfPaths(words: readonly string[]): Promise<readonly FileToUpload[]> {
  const files: FileToUpload[] = [];
  for (const path of await findLocalFiles(words)) {
    const name = basename(path);
    const checked = isWheelFile(name) || parseSdistName(name) ? await checkPython(path, name) : undefined;
    if (!checked) {
      throw new CarportError('E_USAGE', `\`${path}\` is neither a wheel nor a source distribution`, {
        hint: 'leave it out: indexes of Python packages take nothing else',
      });
    }
    const digest = await readLocalFile(path);
    files.push({ name, project: checked.facts.name, ...digest, withFile: (use) => use(path) });
  }
  return inOrder(files);
}

/** Wheels first: who installs meanwhile is not to build. Throws `E_USAGE` for two of one name that differ. */
function inOrder(files: readonly FileToUpload[]): readonly FileToUpload[] {
  const byName = new Map<string, FileToUpload>();
  for (const file of files) {
    const other = byName.get(file.name);
    if (other && other.sha256 !== file.sha256) {
      throw new CarportError('E_USAGE', `two files are called \`${file.name}\`, and differ`, {
        hint: 'an index has one of each name: send the right one by its path',
      });
    }
    byName.set(file.name, other ?? file);
  }
  const rank = ({ name }: FileToUpload) => (isWheelFile(name) ? 0 : 1);
  return [...byName.values()].sort((a, b) => rank(a) - rank(b) || (a.name < b.name ? -1 : 1));
}
