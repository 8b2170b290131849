/** What people are told at the end of pushes beside a command. */

import { canonicalUrl } from '../../cache/open.js';
import { CarportError } from '../../lib/errors.js';
import { type Context, note, say } from '../cli/context.js';
import { printableLine } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import type { PushBesideOptions } from '../push/options.js';
import { addJobSummary } from '../reporters/ci-log.js';
import { requireCache } from '../settings/places.js';
import type { Pusher } from './pusher.js';

/** So many paths that are missing are named. */
const NAMED = 5;

/** How pushes beside a command ended. */
export interface Outcome {
  readonly pusher: Pusher | undefined;
  /** What kept all of it from being pushed. */
  readonly error?: unknown;
}

export interface SummaryRequest {
  readonly options: PushBesideOptions;
  readonly context: Context;
  /** Whether somebody wanted no more. */
  readonly wasStopped: boolean;
}

/** Says in one line what was pushed, and what was not; gives what went wrong, if something is missing. */
export async function sumUp(
  { pusher, error: failure }: Outcome,
  { options, context, wasStopped }: SummaryRequest,
): Promise<unknown> {
  if (failure !== undefined) {
    say(context, `${printableLine(`carport: warning: what was built is not pushed: ${reasonOf(failure)}`)}\n`);
  }
  if (pusher === undefined) return failure;
  const { pushed, present, skipped, narSize, fileSize } = pusher.tally();
  const missing = pusher.waiting();
  const cache = canonicalUrl(requireCache(options.settings.to, 'to'), context.env);
  const sizes = pushed > 0 ? ` (${formatBytes(narSize)}, ${formatBytes(fileSize)} compressed)` : '';
  const elsewhere = skipped > 0 ? `, ${skipped} in another cache` : '';
  const there = `${present} ${present === 1 ? 'was' : 'were'} there`;
  note(context, options, `carport: pushed ${count(pushed, 'path')}${sizes}, ${there}${elsewhere}`);
  await addJobSummary(context, { title: 'carport watch', cache, pushed, present, skipped, fileSize, missing });
  if (missing.length === 0) return failure;
  const error = pusher.lastError() ?? new CarportError('E_INTERRUPTED', 'it was stopped');
  const reason = wasStopped ? 'it was stopped' : reasonOf(error);
  const more = missing.length > NAMED ? [`  and ${missing.length - NAMED} more`] : [];
  const lines = [
    `carport: warning: ${count(missing.length, 'path')} ${missing.length === 1 ? 'is' : 'are'} not in the cache: ${reason}`,
    ...missing.slice(0, NAMED).map((path) => `  ${path}`),
    ...more,
    'carport: the next `carport watch` or `carport hook --drain` with this cache pushes what is missing',
  ];
  for (const line of lines) say(context, `${printableLine(line)}\n`);
  return error;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return `${error.message}${cause}`;
}
