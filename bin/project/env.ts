/** The command `env`. */

import { join } from 'node:path';
import { isThere } from '../../lib/filesystem/exists.js';
import { areInPlace } from '../../lib/namespace/placed-path.js';
import { quoteWord } from '../../lib/namespace/plain-command.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { pathWith, programDirectories } from '../run/environment.js';
import { type RunTargets, resolveForRun } from '../run/targets.js';
import { makeShims, placedOf, recordOf, removeShims } from '../shims/make.js';
import { envDirectory, knownShims, nameFor, readRecord } from '../shims/record.js';
import type { EnvOptions } from './env-command.js';

/** Tells what a shell was given. */
const VARIABLE = 'CARPORT_ENV';

/** Prints what a shell is to set. */
export async function env(targets: readonly string[], options: EnvOptions, context: Context): Promise<void> {
  const found = await resolveForRun(targets, { ...options, json: false }, context);
  const placed = placedOf(found);
  const inPlace = await areInPlace(placed);
  const shims = inPlace ? undefined : await shimsFor(found, options, context);
  const path = shims === undefined ? await programDirectories(placed.slice(0, found.roots.length)) : [shims];
  const names = found.names.join(' ');
  if (options.json) {
    const variables = { PATH: pathWith(path, context.env.PATH), [VARIABLE]: names };
    const storePaths = found.roots.map((info) => info.path);
    return writeJson(context.stdout, {
      names: found.names,
      storePaths,
      inPlace,
      path,
      shims: shims ?? null,
      variables,
    });
  }
  await writeLines(context.stdout, linesFor(shellOf(options, context), path, names, context.env.PATH));
}

/** A directory of shims of this user: a checkout may bring anything, and must not bring programs that are on PATH. */
async function shimsFor(found: RunTargets, options: EnvOptions, context: Context): Promise<string> {
  const where = JSON.stringify([found.project ?? null, found.names]);
  const directory = join(envDirectory(context.env), nameFor(where));
  const [record, wanted] = [await readRecord(directory), recordOf(found)];
  const isGood =
    record &&
    !record.inPlace &&
    Object.entries(wanted).every(([key, value]) => {
      return JSON.stringify(value) === JSON.stringify(record[key as keyof typeof wanted]);
    });
  if (isGood) return directory;
  await removeOld(context);
  await makeShims(directory, found, context);
  note(
    context,
    options,
    `the store is not at /nix/store: programs are started through \`${directory}\`; what they build and links to the store runs with \`carport run\``,
  );
  return directory;
}

/** Removes those of projects that are gone, which keep their toolchains. */
async function removeOld(context: Context): Promise<void> {
  const own = envDirectory(context.env);
  for (const [directory, { project }] of await knownShims(context.env)) {
    if (!directory.startsWith(`${own}/`) || project === null || (await isThere(project))) continue;
    await removeShims(directory, context.env);
  }
}

function shellOf({ shell }: EnvOptions, context: Context): NonNullable<EnvOptions['shell']> {
  return shell ?? (/\/fish$/.test(context.env.SHELL ?? '') ? 'fish' : 'sh');
}

/** Lines of a shell's language. What is on PATH stays there, byte by byte. */
function linesFor(
  shell: string,
  path: readonly string[],
  names: string,
  before: string | undefined,
): readonly string[] {
  const isThere = path.length === 0 || pathWith(path, before) === before;
  if (shell === 'fish') {
    const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
    const lines = [`set -gx ${VARIABLE} ${quote(names)};`];
    if (!isThere) lines.push(`set -gx PATH ${path.map(quote).join(' ')} $PATH;`);
    return lines;
  }
  const lines = [`export ${VARIABLE}=${quoteWord(names)};`];
  if (!isThere) lines.push(`export PATH=${quoteWord(path.join(':'))}"\${PATH:+:$PATH}";`);
  return lines;
}
