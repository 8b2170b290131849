/** Arguments that are files to publish, and patterns of them. */

import { type Dirent, readdir } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type FastGlob from 'fast-glob';
import { CarportError, isErrno } from '../../lib/errors.js';
import { notPlain } from '../../release/put/local-file.js';

/** Files that a pattern may mean: links that lead in a circle make more than anybody can have meant. */
const MAX_MATCHES = 10_000;

/**
 * The files that arguments mean, a pattern's in order, each once for each of its names. An argument that is there is taken
 * as it is, also with the characters of patterns. Links are followed. Throws for what means no file, and for directories.
 */
export async function findLocalFiles(words: readonly string[]): Promise<readonly string[]> {
  const found = new Map<string, string>();
  for (const word of words) {
    for (const path of (await plainFile(word)) ?? (await matches(word))) {
      const identity = `${basename(path)}/${await realpath(path)}`;
      const known = found.get(identity);
      // Round a circle there are many paths, of which the longest cannot be opened.
      if (known === undefined || path.length < known.length) found.set(identity, path);
    }
  }
  return [...found.values()];
}

/** `undefined` when nothing is there. */
async function plainFile(path: string): Promise<readonly string[] | undefined> {
  const stats = await stat(path).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  });
  if (!stats) {
    if (await leadsNowhere(path)) throw await nowhere(path);
    return undefined;
  }
  if (stats.isFile()) return [path];
  if (!stats.isDirectory()) throw notPlain(path);
  throw new CarportError('E_USAGE', `\`${path}\` is a directory`, {
    hint: `name its files: \`${path.replace(/\/+$/, '')}/*\`, or \`/**\` for those below it, too`,
  });
}

async function matches(pattern: string): Promise<readonly string[]> {
  const { default: glob } = await import('fast-glob');
  const paths: string[] = [];
  const options = {
    onlyFiles: false,
    objectMode: true,
    fs: { readdir: readOutsideCircles as typeof readdir },
  } as const;
  const entries = glob.isDynamicPattern(pattern) ? glob.stream(pattern, options) : [];
  for await (const entry of entries as AsyncIterable<FastGlob.Entry>) {
    const isFile = entry.dirent.isFile();
    if (isFile && (await isReached(entry.path))) paths.push(entry.path);
    if (!isFile && (await leadsNowhere(entry.path))) throw await nowhere(entry.path);
    if (paths.length <= MAX_MATCHES) continue;
    throw new CarportError('E_USAGE', `\`${pattern}\` means more than ${MAX_MATCHES} files`, {
      hint: 'name fewer; perhaps a link leads to a directory that it lies in',
    });
  }
  if (paths.length > 0) return paths.sort();
  throw new CarportError('E_NOT_FOUND', `there is no file \`${pattern}\``, {
    hint: 'check the path, and that the build has made it',
  });
}

/**
 * Reads a directory for a pattern. The system follows 40 links in a path, and may count one more when it opens a
 * directory than when it looked at it: where it gives up, links lead in a circle, and all that is there was seen before.
 */
function readOutsideCircles(
  path: string,
  options: { withFileTypes: true },
  done: (error: NodeJS.ErrnoException | null, entries: Dirent[]) => void,
): void {
  readdir(path, options, (error, entries) =>
    error && isErrno(error, 'ELOOP') ? done(null, []) : done(error, entries),
  );
}

/** Whether the system finds it: it may count one link more than when it looked at it, as of a directory. */
function isReached(path: string): Promise<boolean> {
  return realpath(path).then(
    () => true,
    (error) => !isErrno(error, 'ELOOP'),
  );
}

/** Whether it is a link to what is not there. A link that leads in a circle is none. */
async function leadsNowhere(path: string): Promise<boolean> {
  const isLink = (await lstat(path).catch(() => undefined))?.isSymbolicLink() === true;
  return (
    isLink &&
    stat(path).then(
      () => false,
      (error) => isErrno(error, 'ENOENT', 'ENOTDIR'),
    )
  );
}

async function nowhere(path: string): Promise<CarportError> {
  const target = await readlink(path);
  return new CarportError('E_NOT_FOUND', `\`${path}\` is a link to \`${target}\`, which is not there`, {
    hint: 'build it again: it may have been collected',
  });
}
