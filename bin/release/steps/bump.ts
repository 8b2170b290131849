/** The command `release bump`. */

import { CarportError } from '../../../lib/errors.js';
import { writeAll } from '../../../release/steps/edit.js';
import { diffOf, type PlannedBump, planBump } from '../../../release/steps/planned-bump.js';
import { isFileVersion, nextVersion } from '../../../release/steps/version-parts.js';
import { confirmAtTerminal, isTerminal } from '../../cli/confirm.js';
import { type Context, note, write, writeJson, writeLines } from '../../cli/context.js';
import { printable } from '../../cli/printable.js';
import { count } from '../../cli/terminal.js';
import { readBumpTable } from '../../settings/tables/bump.js';
import type { BumpOptions } from './command.js';

/** Writes another version into the files of a project that have it, after it has shown what changes. */
export async function bump(options: BumpOptions, context: Context): Promise<void> {
  const { part, to, dryRun } = options;
  if (part !== undefined && to !== undefined) {
    throw new CarportError('E_USAGE', '`--part` and `--to` say different things', { hint: 'give one of them' });
  }
  const table = await readBumpTable(context);
  if (table === undefined) {
    throw new CarportError('E_USAGE', 'no `carport.toml` of this directory or above it has `[bump]`', {
      hint: 'write `[bump]` and `files = ["VERSION"]` into the `carport.toml` of the project',
    });
  }
  const next =
    to === undefined ? { of: (version: string) => nextVersion(version, part ?? table.part) } : { to: wantedOf(to) };
  const planned = await planBump(table.directory, table.places, next);
  if (!options.json) await show(planned, options, context);
  const isDone = planned.edits.length === 0;
  if (!dryRun && !isDone) {
    await mayWrite(planned, options, context);
    await writeAll(table.directory, planned.edits);
  }
  if (options.json) return writeJson(context.stdout, jsonOf(planned, dryRun));
  if (isDone) note(context, options, `it is ${planned.to} everywhere already`);
  else if (dryRun) note(context, options, 'nothing was changed');
  else note(context, options, `${planned.from} → ${planned.to}: changed ${count(planned.edits.length, 'file')}`);
}

/** Files have no `v` before a version, whatever tags have. */
function wantedOf(to: string): string {
  const version = to.replace(/^v(?=[0-9])/, '');
  if (isFileVersion(version)) return version;
  throw new CarportError('E_USAGE', `\`${to}\` (--to) is no version`, {
    hint: 'give one such as `1.3.0`, `1.3.0-rc1` or `1.3.0rc1`',
  });
}

/** As it is for programs, such as `git apply`; a terminal gets no control characters of files. */
async function show({ edits }: PlannedBump, { quiet }: BumpOptions, context: Context): Promise<void> {
  if (quiet) return;
  for (const edit of edits) {
    const diff = diffOf(edit);
    if (!context.stdout.isTTY) await write(context.stdout, diff);
    else await writeLines(context.stdout, diff.toString('utf8').replace(/\n$/, '').split('\n').map(printable));
  }
}

async function mayWrite({ from, to, edits }: PlannedBump, { yes }: BumpOptions, context: Context): Promise<void> {
  if (yes) return;
  const what = `This changes ${from} to ${to} in ${count(edits.length, 'file')}.`;
  if (isTerminal(context)) return confirmAtTerminal(what, context, 'nothing was changed');
  throw new CarportError('E_USAGE', 'nothing was changed: there is no terminal to ask at', {
    hint: 'look with `--dry-run` first; `--yes` does it without asking',
  });
}

function jsonOf({ from, to, edits }: PlannedBump, dryRun: boolean) {
  const files = edits.map((edit) => ({ file: edit.file.name, diff: diffOf(edit).toString('utf8') }));
  return { from, to, files, dryRun };
}
