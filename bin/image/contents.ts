/** Arguments that say what is in an image: files, directories, closures. */

import { lstat, realpath, stat } from 'node:fs/promises';
import { basename, dirname, posix, resolve, sep } from 'node:path';
import type { Contents, LocalContent } from '../../image/plan.js';
import { CarportError, isErrno } from '../../lib/errors.js';
import { runtimeClosure } from '../../lib/store/closure.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import { type LocalPaths, openLocalPaths, resolveLocalPaths } from '../arguments/local-paths.js';
import { expandStdin } from '../arguments/paths.js';
import type { Context } from '../cli/context.js';
import { pullMissing } from '../run/targets.js';
import type { ContentOptions } from './command.js';

/** What an image is made of. */
export interface ImageContents extends Contents {
  readonly store: LocalPaths['store'];
  readonly own: OwnStore | undefined;
}

/**
 * Finds what arguments mean. Store paths that are not here are pulled first, where it is said from which caches. Files and
 * directories of `within` are taken, and of the store, and no others: for words that somebody else may have written.
 */
export async function findContents(
  targets: readonly string[],
  options: ContentOptions,
  context: Context,
  within?: string,
): Promise<ImageContents> {
  const here = await openLocalPaths(options.settings, context);
  const { store, own } = here;
  const words = await expandStdin(targets, context);
  const [local, stored] = [[] as LocalContent[], [] as string[]];
  for (const word of words) {
    const found = await localContent(word, here, context, within);
    if (found) local.push(found);
    else stored.push(word);
  }
  await pullMissing(stored, here, { ...options, json: false }, context);
  const roots = await resolveLocalPaths(stored, here, context);
  const { graph } = roots.length > 0 ? await runtimeClosure(store, roots) : { graph: new Map() };
  return { graph, roots, local, store, own, realPath: (info) => store.realPath(info) };
}

/** A file or directory that is no store path; `undefined` for what is one, or lies nowhere. */
async function localContent(
  word: string,
  { store }: LocalPaths,
  { cwd }: Context,
  within: string | undefined,
): Promise<LocalContent | undefined> {
  const [path, at] = await splitWord(word, cwd());
  const stats = await stat(path).catch((error) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  });
  if (stats === undefined) {
    if (at === undefined) return undefined;
    throw new CarportError('E_NOT_FOUND', `\`${word}\`: there is no such file`, {
      hint: 'check the path before the `:`',
    });
  }
  const real = await realpath(path);
  const isStorePath = store.realStoreDirs.includes(dirname(real)) || dirname(real) === store.storeDir;
  if (isStorePath && at === undefined) return undefined;
  if (within !== undefined) await checkWithin(word, real, [within, store.storeDir, ...store.realStoreDirs]);
  if (stats.isDirectory()) return { path: real, at: at ?? '/' };
  // Its own name, also where that is a link to another.
  const name = basename(resolve(path));
  return { path: real, at: at === undefined ? `/${name}` : at.endsWith('/') ? `${at}${name}` : at };
}

async function checkWithin(word: string, real: string, directories: readonly string[]): Promise<void> {
  for (const directory of directories) {
    const top = await realpath(directory).catch(() => directory);
    if (real === top || real.startsWith(`${top}${sep}`)) return;
  }
  throw new CarportError('E_USAGE', `\`${word}\` is not in the directory of the project, \`${directories[0]}\``, {
    hint: 'a `carport.toml` may put into images what lies beside it or below, and store paths; for others use `carport image build`',
  });
}

/** The path on this machine, and the one in the image where that is said. */
async function splitWord(word: string, directory: string): Promise<readonly [path: string, at: string | undefined]> {
  const whole = resolve(directory, word);
  const colon = word.lastIndexOf(':/');
  if (colon <= 0 || (await lstat(whole).catch(() => undefined))) return [whole, undefined];
  const at = word.slice(colon + 1);
  if (posix.normalize(at) !== at || /[\0\n]/.test(at)) {
    throw new CarportError('E_USAGE', `\`${at}\` is no place in an image`, {
      hint: 'name it from `/` on, without `.` and `..`',
    });
  }
  return [resolve(directory, word.slice(0, colon)), at];
}
