/** What stays in a binary cache: what the command line says of it, and what it leaves to the table `[retention]`. */

import { CarportError } from '../../lib/errors.js';
import { confirmAtTerminal, isTerminal } from '../cli/confirm.js';
import type { Context } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { readRetention } from '../settings/tables/retention.js';

/** What the command line says. */
interface GivenRules {
  readonly keepNewerThan?: number | undefined;
  readonly maxSize?: number | undefined;
  readonly keepHistory?: number | undefined;
}

/** What stays; a span in milliseconds, a size in bytes, previous values of pins. */
export interface GcRules {
  readonly keepNewerThan: number;
  readonly maxSize: number | undefined;
  readonly keepHistory: number | undefined;
}

const DEFAULT_NEWER = 30 * 86_400_000;

/**
 * The rules of a collection, each from the command line, else from the table. One that a project's file has and that removes
 * more than would go without it is asked about before something is removed: somebody else may have written that file.
 */
export async function gcRulesOf(
  given: GivenRules,
  { removes, yes }: { readonly removes: boolean; readonly yes: boolean },
  context: Context,
): Promise<GcRules> {
  const retention = await readRetention(context);
  const tier = retention?.cache;
  const rules = {
    keepNewerThan: given.keepNewerThan ?? tier?.within ?? DEFAULT_NEWER,
    maxSize: given.maxSize ?? tier?.maxSize,
    keepHistory: given.keepHistory ?? tier?.history,
  };
  const isLess =
    rules.keepNewerThan < (given.keepNewerThan ?? DEFAULT_NEWER) ||
    rules.maxSize !== given.maxSize ||
    rules.keepHistory !== given.keepHistory;
  if (tier && retention.isProject && isLess && removes && !yes) await confirmRules(tier.place, context);
  return rules;
}

async function confirmRules(place: string, context: Context): Promise<void> {
  const where = `\`${printableLine(place)}\``;
  if (isTerminal(context)) return confirmAtTerminal(`This removes more of the cache since ${where} says so.`, context);
  throw new CarportError('E_USAGE', `this removes more of the cache, since ${where} says so`, {
    hint: 'somebody else may have written that file: say `--yes`, or the rules, such as `--keep-newer-than 14d`',
  });
}
