/** The reporter of commands that take long and print one result: erase, verify, export, put, promote. */

import type { ActivityEvent, Emit } from '../../lib/work.js';
import { type CommonOptions, type Context, note } from '../cli/context.js';
import { formatBytes } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { createProgress, createProgressForPrograms } from './choose-progress.js';
import { type ProgressState, startOf } from './progress.js';

/** Shows how far a command has come. */
export interface ActivityReporter {
  readonly emit: Emit<ActivityEvent>;
  /** Says a line to people, unless they asked for quiet. */
  tell(message: string): void;
  /** Takes down what is on the screen. Call it before anything else is printed. */
  stop(): void;
}

/**
 * Shows progress on stderr: a line that is written over on a terminal, lines now and then in a log, lines of JSON with
 * `--json`, so that stdout has the result alone.
 */
function createActivityReporter(context: Context, options: CommonOptions): ActivityReporter {
  const progress = options.json ? createProgressForPrograms(context, options) : createProgress(context, options);
  let state: ProgressState | undefined;
  const warn = warnPeople(context);
  const tell = (message: string) => {
    progress?.stop();
    note(context, options, message);
  };
  const advance = (change: Partial<ProgressState>) => {
    if (state === undefined) return;
    state = { ...state, ...change };
    progress?.update(state);
  };
  const emit = (event: ActivityEvent) => {
    switch (event.type) {
      case 'started':
        state = startOf(event);
        break;
      case 'item-started':
        if (options.verbose && !options.json) tell(withSize(event));
        break;
      case 'progress':
        advance({
          bytesDone: (state?.bytesDone ?? 0) + (event.bytes ?? 0),
          itemsDone: (state?.itemsDone ?? 0) + (event.items ?? 0),
        });
        break;
      case 'item-finished':
        advance({ itemsDone: (state?.itemsDone ?? 0) + 1 });
        progress?.finished({ name: event.name, size: event.size ?? 0 });
        break;
      case 'warning':
        progress?.stop();
        warn(event);
        break;
    }
  };
  return { emit, tell, stop: () => progress?.stop() };
}

function withSize({ name, size }: { readonly name: string; readonly size?: number }): string {
  return size === undefined ? name : `${name} (${formatBytes(size)})`;
}

/** Does work that tells how far it is, and takes down what is on the screen when it ends. */
export async function withActivity<T>(
  context: Context,
  options: CommonOptions,
  work: (reporter: ActivityReporter) => Promise<T>,
): Promise<T> {
  const reporter = createActivityReporter(context, options);
  try {
    return await work(reporter);
  } finally {
    reporter.stop();
  }
}
