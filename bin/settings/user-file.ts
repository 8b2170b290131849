/** Changes the user's own file of settings. */

import { chmod, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CarportError, isErrno } from '../../lib/errors.js';
import { writeAtomically } from '../../lib/filesystem/atomic-write.js';
import { makeDirectory } from '../../lib/filesystem/make-directory.js';
import { userConfigFile } from './config-file.js';
import { changeLists, type ListChange, listIn } from './toml-list.js';

/** What has become of the file. */
export interface ChangedFile {
  readonly file: string;
  /** The lines that are new, and those that are gone. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** What the lists had before, by their keys. */
  readonly before: ReadonlyMap<string, readonly string[]>;
}

/**
 * Changes lists in the user's own file of settings, which is there whole or as it was; a link stays one. Throws `E_USAGE` where
 * a person has to do it, and `E_UNAVAILABLE` where somebody else changes the file at the same time.
 */
export async function changeUserFile(
  env: NodeJS.ProcessEnv,
  changes: readonly ListChange[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<ChangedFile> {
  const file = userConfigFile(env);
  const target = await realpath(file).catch(() => file);
  const before = await textOf(target);
  const after = changeLists(before ?? '', changes, file);
  const [old, now] = [before ?? '', after].map((text) => text.split('\n'));
  const lists = new Map(changes.map(({ key }) => [key, listIn(before ?? '', key, file) ?? []]));
  const changed = { file, added: lacking(now!, old!), removed: lacking(old!, now!), before: lists };
  if (dryRun || after === (before ?? '')) return changed;
  try {
    await makeDirectory(dirname(target));
    const mode = before === undefined ? undefined : (await stat(target)).mode & 0o777;
    await writeAtomically(target, async (temporary) => {
      await writeFile(temporary, after, { flag: 'wx' });
      if (mode !== undefined) await chmod(temporary, mode);
      if ((await textOf(target)) !== before) {
        throw new CarportError('E_UNAVAILABLE', `somebody else has changed \`${file}\` just now`, {
          hint: 'try again',
        });
      }
    });
  } catch (cause) {
    if (cause instanceof CarportError) throw cause;
    const hint = `make it writable, or write these lines yourself: ${changed.added.map((line) => `\`${line}\``).join(', ')}`;
    throw new CarportError('E_IO', `\`${file}\` cannot be written`, { cause, hint });
  }
  return changed;
}

function lacking(lines: readonly string[], others: readonly string[]): readonly string[] {
  const left = new Set(others);
  return lines.filter((line) => line.trim() !== '' && !left.has(line));
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw new CarportError('E_IO', `\`${file}\` cannot be read`, { cause: error });
  }
}
