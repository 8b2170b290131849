/** The command `store delete`. */

import { CarportError } from '../../lib/errors.js';
import { openStoreForWriting } from '../../lib/store/open.js';
import { collectGarbage, findGarbage, type Garbage } from '../../lib/store/own/collect-garbage.js';
import type { Going } from '../../lib/store/own/going.js';
import type { OwnStore } from '../../lib/store/own/own-store.js';
import { pathsOfOwn, resolveLocalPaths } from '../arguments/local-paths.js';
import { confirmByName } from '../cli/confirm.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count } from '../cli/terminal.js';
import type { DeleteOptions } from './command.js';
import { summaryOf } from './gc.js';

/** Removes store paths that are named and not needed, or the whole store; prints them. */
export async function run(what: readonly string[], options: DeleteOptions, context: Context): Promise<void> {
  const { all, dryRun } = options;
  if (all === what.length > 0) {
    throw new CarportError('E_USAGE', all ? '`--all` and names of paths exclude each other' : 'nothing is named', {
      hint: 'name store paths, or give `--all` for the whole store; `carport store gc` removes what nothing needs',
    });
  }
  const store = openStoreForWriting(options.settings.store.value, context.env);
  const going: Going = all ? 'all' : await resolveLocalPaths(what, pathsOfOwn(store), context);
  const planned = await findGarbage(store, going);
  if (!dryRun && !options.yes && !isNothing(planned)) await confirmByName(nameOf(going, store), context);
  const notify = ({ message }: { readonly message: string }) => note(context, options, message);
  const gone = dryRun ? planned : await collectGarbage(store, { going, notify });
  const { storePaths, narSize, kept, unregistered, leftAlone, droppedRoots } = gone;
  if (options.json) {
    await writeJson(context.stdout, { dryRun, storePaths, narSize, kept, unregistered, leftAlone, droppedRoots });
  } else await writeLines(context.stdout, storePaths);
  for (const { kind, name } of droppedRoots) {
    note(
      context,
      options,
      printable(`${dryRun ? 'to drop' : 'dropped'}: ${kind === 'pin' ? 'pin' : 'out-link'} \`${name}\``),
    );
  }
  for (const line of summaryOf(gone, dryRun)) note(context, options, line);
}

function isNothing({ storePaths, unregistered, droppedRoots }: Garbage): boolean {
  return storePaths.length + unregistered.length + droppedRoots.length === 0;
}

/** What a person types who means it. */
function nameOf(going: Going, { layout }: OwnStore): string {
  if (typeof going === 'string') return layout.root;
  return going.length === 1 ? going[0]! : count(going.length, 'path');
}
