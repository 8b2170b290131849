/** What `CARPORT_DEBUG` asks for: lines about what happens inside, for developers and for reports of errors. */

import type { PullEvent } from '../../cache/pull/events.js';
import type { PushEvent } from '../../cache/push/events.js';
import { CarportError } from '../../lib/errors.js';
import type { TracedRequest } from '../../lib/http/trace.js';
import { suggestion } from '../../lib/suggestion.js';
import type { Emit } from '../../lib/work.js';
import { type Context, say } from '../cli/context.js';

/** The parts of carport that tell, by their names. */
const TOPICS = ['http', 'push', 'pull'] as const;

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

/** Says each path that a push or a pull begins and ends, with milliseconds and sizes, where that is asked for. */
export function sayTransfer(context: Context, emit: Emit<PushEvent | PullEvent>): typeof emit {
  const topics = debugTopics(context.env);
  let topic: DebugTopic | undefined;
  const started = new Map<string, number>();
  return (event) => {
    if (event.type === 'plan') topic = topics.has(event.verb) ? event.verb : undefined;
    if (topic && event.type === 'path-started') {
      started.set(event.path, performance.now());
      say(context, `${topic}: begin ${event.path} ${event.narSize} bytes\n`);
    }
    if (topic && event.type === 'path-finished') {
      const milliseconds = performance.now() - (started.get(event.path) ?? Number.NaN);
      say(
        context,
        `${topic}: end ${event.path} ${event.fileSize ?? '?'} bytes sent or read, ${milliseconds.toFixed(0)} ms\n`,
      );
    }
    emit(event);
  };
}

/** Says one try of a request in a line: method, host and path, status, milliseconds, which try. */
export function sayRequest(context: Context, request: TracedRequest): void {
  const { method, host, path, status, milliseconds, attempt } = request;
  const tries = attempt > 1 ? `, try ${attempt}` : '';
  say(context, `http: ${method} ${host}${path} ${status ?? 'no answer'} ${milliseconds.toFixed(0)} ms${tries}\n`);
}
