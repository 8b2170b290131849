/** Warnings, as many as people read. */

import type { Notice } from '../../lib/notice.js';
import type { Emit, WarningEvent } from '../../lib/work.js';
import { type Context, say } from './context.js';
import { printableLine } from './printable.js';
import { count } from './terminal.js';

/** A bucket that is used for other things, too, would fill the log. */
const SHOWN = 20;

/** Says the first of what a command has to warn of. All of them are in its JSON. */
export function sayWarnings(context: Context, warnings: readonly Notice[]): void {
  for (const { message } of warnings.slice(0, SHOWN)) say(context, `${printableLine(`warning: ${message}`)}\n`);
  const more = warnings.length - SHOWN;
  if (more > 0) say(context, `warning: ${count(more, 'more warning')}; \`--json\` prints all\n`);
}

/** Says warnings of work to people as they come, also to those who asked for quiet. */
export function warnPeople(context: Context): Emit<WarningEvent> {
  return ({ message }) => say(context, `${printableLine(`warning: ${message}`)}\n`);
}
