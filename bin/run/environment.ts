/** PATH for it, and whether it has the command. */

import { lstat, realpath, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { cannotExecute } from '../../lib/namespace/failure.js';
import type { PlacedPath } from '../../lib/namespace/placed-path.js';
import { isProgram } from '../../lib/process/find-program.js';
import { rawBytes } from '../../lib/raw-text.js';

/** The `bin` directories of store paths, which come first on PATH. */
export async function programDirectories(roots: readonly PlacedPath[]): Promise<readonly string[]> {
  const found = await Promise.all(
    roots.map(async ({ path, realPath }) => ({ path, has: await hasPrograms(realPath) })),
  );
  return found.filter(({ has }) => has).map(({ path }) => `${path}/bin`);
}

/** A PATH that begins with directories. */
export function pathWith(directories: readonly string[], path: string | undefined): string {
  const own = path ? path.split(delimiter) : [];
  // A shell within a shell of the same.
  const isFirst = directories.every((directory, index) => directory === own[index]);
  return isFirst ? (path ?? '') : [...directories, ...own].join(delimiter);
}

/** A link counts: it leads to another store path, which is not in its place yet. */
async function hasPrograms(realPath: string): Promise<boolean> {
  const stats = await lstat(join(realPath, 'bin')).catch(() => undefined);
  return stats !== undefined && (stats.isDirectory() || stats.isSymbolicLink());
}

/** Throws when a command is not there, or is no program. What links hide until the store is in its place is left to the system. */
export async function checkCommand(
  command: string,
  placed: readonly PlacedPath[],
  env: NodeJS.ProcessEnv,
): Promise<void> {
  if (command.includes('/')) return checkFile(command, placed);
  const realPaths = new Map(placed.map(({ path, realPath }) => [path, realPath]));
  for (const directory of (env.PATH ?? '').split(delimiter)) {
    const realPath = directory.endsWith('/bin') ? realPaths.get(directory.slice(0, -'/bin'.length)) : undefined;
    const candidate = join(realPath === undefined ? directory || '.' : join(realPath, 'bin'), command);
    if (realPath === undefined ? await isProgram(candidate) : await mayBeProgram(candidate)) return;
  }
  throw new CarportError('E_NOT_FOUND', `the command \`${command}\` is not on PATH`, {
    hint: 'PATH has the `bin` directories of the paths that were named, and then your own: name the path that has it',
  });
}

async function checkFile(command: string, placed: readonly PlacedPath[]): Promise<void> {
  const path = placed.find(({ path }) => command.startsWith(`${path}/`));
  const file = path ? path.realPath + command.slice(path.path.length) : command;
  const isThere = (at: string) =>
    lstat(rawBytes(at)).then(
      () => true,
      (error) => !isErrno(error, 'ENOENT'),
    );
  if ((await stat(rawBytes(file)).catch(() => undefined)) !== undefined && !(await isProgram(file)))
    throw cannotExecute(command);
  if ((await isThere(file)) || !(await realpath(rawBytes(dirname(file))).catch(() => undefined))) return;
  throw new CarportError('E_NOT_FOUND', `the command \`${command}\` does not exist`, { hint: 'check the path' });
}

/** Links within a store lead to places that are not there before the store is. */
async function mayBeProgram(path: string): Promise<boolean> {
  const stats = await lstat(rawBytes(path)).catch(() => undefined);
  // A directory above may be such a link, too.
  if (stats === undefined)
    return (await lstat(rawBytes(join(path, '..'))).catch(() => undefined))?.isSymbolicLink() ?? false;
  return stats.isSymbolicLink() || isProgram(path);
}
