/** What `CARPORT_DEBUG` asks for: lines about what happens inside, for developers and for reports of errors. */

import { CarportError } from '../../lib/errors.js';
import type { TracedRequest } from '../../lib/http/trace.js';
import { suggestion } from '../../lib/suggestion.js';
import { type Context, say } from '../cli/context.js';

/** The parts of carport that tell, by their names. */
const TOPICS = ['http'] as const;

export type DebugTopic = (typeof TOPICS)[number];

/** The topics that are asked for. Throws `E_USAGE` for a name that is none. */
export function debugTopics(env: NodeJS.ProcessEnv): ReadonlySet<DebugTopic> {
  const names = (env.CARPORT_DEBUG ?? '').split(',').filter((name) => name !== '');
  const unknown = names.find((name) => !TOPICS.some((topic) => topic === name));
  if (unknown === undefined) return new Set(TOPICS.filter((topic) => names.includes(topic)));
  throw new CarportError('E_USAGE', `\`${unknown}\` (CARPORT_DEBUG) is nothing that can be told of`, {
    hint: suggestion(unknown, TOPICS),
  });
}

/** Says one try of a request in a line: method, host and path, status, milliseconds, which try. */
export function sayRequest(context: Context, request: TracedRequest): void {
  const { method, host, path, status, milliseconds, attempt } = request;
  const tries = attempt > 1 ? `, try ${attempt}` : '';
  say(context, `http: ${method} ${host}${path} ${status ?? 'no answer'} ${milliseconds.toFixed(0)} ms${tries}\n`);
}
