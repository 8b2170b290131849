/** Tells of shims that are of another toolchain than is locked. */

import type { Lock } from '../../cache/toolchains/lock-file.js';
import { type CommonOptions, type Context, note } from '../cli/context.js';
import { envDirectory, knownShims } from './record.js';

/** Says which directories of shims are to be renewed, of those that are of toolchains of the project that are in the lock. */
export async function tellStaleShims(
  project: string,
  lock: Lock,
  options: Pick<CommonOptions, 'quiet'>,
  context: Context,
): Promise<void> {
  for (const [directory, record] of await knownShims(context.env)) {
    if (
      record.project !== project ||
      directory.startsWith(envDirectory(context.env)) ||
      !record.names.every((name) => lock.has(name))
    )
      continue;
    const locked = record.names.flatMap((name) => lock.get(name)!.paths.map(({ storePath }) => storePath));
    if (JSON.stringify([...new Set(locked)]) === JSON.stringify(record.storePaths)) continue;
    note(
      context,
      options,
      `the shims in \`${directory}\` are of another toolchain than is locked: \`carport shims ${directory}\` renews them`,
    );
  }
}
