/** The command `shims`. */

import { resolve } from 'node:path';
import { CarportError } from '../../lib/errors.js';
import { type Context, note, workingDirectory, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import { resolveForRun } from '../run/targets.js';
import type { ShimsOptions } from './command.js';
import { makeShims, removeShims } from './make.js';
import { readRecord } from './record.js';

/** Makes the scripts of a directory, or renews or removes them; prints their names. */
export async function shims(
  given: string,
  targets: readonly string[],
  options: ShimsOptions,
  context: Context,
): Promise<void> {
  const directory = resolve(workingDirectory(context), given);
  if (options.remove) return remove(directory, targets, options, context);
  // Without names, those of before.
  const before = targets.length === 0 ? await readRecord(directory) : undefined;
  const found = await resolveForRun(before?.names ?? targets, { ...options, json: false }, context);
  const { programs, storePaths, names } = await makeShims(directory, found, context);
  if (options.json) await writeJson(context.stdout, { directory, names, storePaths, programs });
  else await writeLines(context.stdout, programs.map(printable));
  note(context, options, `${count(programs.length, 'program')} of \`${names.join(' ')}\` in \`${directory}\``);
}

async function remove(
  directory: string,
  targets: readonly string[],
  options: ShimsOptions,
  context: Context,
): Promise<void> {
  if (targets.length > 0) {
    throw new CarportError('E_USAGE', '`--remove` takes all scripts of a directory', { hint: 'leave the names out' });
  }
  const removed = await removeShims(directory, context.env);
  if (options.json) await writeJson(context.stdout, { directory, removed });
  else await writeLines(context.stdout, removed.map(printable));
}
