/** The commands `store gc` and `store forget`. */

import { CarportError } from '../../lib/errors.js';
import { forgetNixPin } from '../../lib/store/nix/pins.js';
import { NIX, openOwnForReading, openStoreForWriting } from '../../lib/store/open.js';
import { collectGarbage, findGarbage, type Garbage } from '../../lib/store/own/collect-garbage.js';
import { removePulledPin } from '../../lib/store/own/pulled-pins.js';
import { openLocalPaths, pulledPaths } from '../arguments/local-paths.js';
import { confirmAtTerminal } from '../cli/confirm.js';
import { type Context, note, say, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import type { CollectOptions, ForgetOptions } from './command.js';

/** Removes the store paths that nothing needs; prints them. */
export async function collect(options: CollectOptions, context: Context): Promise<void> {
  const store = openStoreForWriting(options.settings.store.value, context.env);
  const tell = (message: string) => note(context, options, message);
  const { dryRun } = options;
  if (!dryRun && !options.yes) {
    await confirmAtTerminal(`Paths of ${store.description} that nothing needs will be removed.`, context);
  }
  const garbage = dryRun
    ? await findGarbage(store)
    : await collectGarbage(store, { notify: ({ message }) => tell(message) });
  const { storePaths, narSize, kept, unregistered, leftAlone, incompleteRoots } = garbage;
  for (const warning of warningsOf(garbage, dryRun)) say(context, `${printable(`warning: ${warning}`)}\n`);
  if (options.json) {
    await writeJson(context.stdout, { dryRun, storePaths, narSize, kept, unregistered, leftAlone, incompleteRoots });
  } else await writeLines(context.stdout, storePaths);
  for (const line of summaryOf(garbage, dryRun)) tell(line);
}

/** Forgets pins that were pulled. Throws where one was not, when the others are forgotten. */
export async function forget(pins: readonly string[], options: ForgetOptions, context: Context): Promise<void> {
  const selection = options.settings.store.value;
  const own = openOwnForReading(selection, context.env);
  const isKnown = async (pin: string): Promise<boolean> => {
    const here = await openLocalPaths(options.settings, context);
    return (await pulledPaths(pin, here)) !== undefined;
  };
  const forgetOne = async (pin: string): Promise<boolean> => {
    if (options.dryRun) return isKnown(pin);
    const here = own !== undefined && (await removePulledPin(own, pin));
    const inNix = (selection === undefined || selection === NIX) && (await forgetNixPin(pin, context.env));
    return here || inNix;
  };
  const forgotten: string[] = [];
  const unknown: string[] = [];
  for (const pin of new Set(pins)) ((await forgetOne(pin)) ? forgotten : unknown).push(pin);
  if (options.json) await writeJson(context.stdout, { forgotten, unknown, ...(options.dryRun && { dryRun: true }) });
  else await writeLines(context.stdout, forgotten);
  if (unknown.length > 0) {
    const names = unknown.map((pin) => `\`${pin}\``).join(', ');
    throw new CarportError(
      'E_NOT_FOUND',
      `no pin was pulled into ${own?.description ?? "the system's Nix store"} as ${names}`,
      {
        hint: '`carport store ls --roots` prints pulled pins; an out-link is dropped by removing the link',
      },
    );
  }
}

function warningsOf({ incompleteRoots, keptForAll, beingWritten }: Garbage, dryRun: boolean): readonly string[] {
  const incomplete = incompleteRoots.flatMap(({ root, missing }) =>
    missing.map((path) => `the ${WORDS[root.kind]} \`${root.name}\` needs \`${path}\`, which is not valid here`),
  );
  const busy = 'somebody adds paths just now: those that are not linked or pinned yet are listed, too';
  const all = keptForAll.map(
    (name) => `${name} had no space to say what it runs from: everything is kept until it ends`,
  );
  return [...incomplete, ...all, ...(dryRun && beingWritten ? [busy] : [])];
}

const WORDS = { link: 'out-link', pin: 'pin', running: 'running' } as const;

/** What was removed or would be, in words. */
export function summaryOf(
  { storePaths, narSize, unregistered, leftAlone, sharedWithNix }: Garbage,
  dryRun: boolean,
): readonly string[] {
  const paths = count(storePaths.length, 'path');
  const verb = dryRun ? 'to remove' : 'removed';
  const leftovers = unregistered.length > 0 ? [`${entries(unregistered)} ${verb}: not registered`] : [];
  const others = leftAlone.length > 0 ? [`${entries(leftAlone)} left alone: ${reasonFor(leftAlone)}`] : [];
  if (sharedWithNix) {
    return [
      `${paths} ${dryRun ? 'to forget' : 'forgotten'}; the files stay, since Nix keeps its own paths in the same ` +
        'directory: `nix-collect-garbage` removes what Nix does not need either',
    ];
  }
  return [`${paths}, ${formatBytes(narSize)} ${dryRun ? 'to free' : 'freed'}`, ...leftovers, ...others];
}

function entries({ length }: readonly string[]): string {
  return `${length} ${length === 1 ? 'entry' : 'entries'} of the store dir`;
}

/** Names that are shown of entries that stay. */
const MOST_SHOWN = 3;

function reasonFor(names: readonly string[]): string {
  const more = names.length > MOST_SHOWN ? ` and ${names.length - MOST_SHOWN} more` : '';
  const shown = names.slice(0, MOST_SHOWN).map((name) => `\`${name}\``);
  return printable(`nothing says that carport put them there (${shown.join(', ')}${more})`);
}
