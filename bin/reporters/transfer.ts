/** The reporter of push and pull: their events as text, or as lines of JSON on stdout. */

import type { PullEvent, ToolchainEvent } from '../../cache/pull/events.js';
import type { PushEvent } from '../../cache/push/events.js';
import type { PlanEvent, SummaryEvent } from '../../cache/transfer-events.js';
import type { Emit } from '../../lib/work.js';
import { type CommonOptions, type Context, say, writeJsonLine } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import { fromTo } from '../project/days.js';
import { createProgress } from './choose-progress.js';
import { sayTransfer } from './debug.js';
import { type ProgressState, startOf } from './progress.js';

/** What a push or a pull tells. */
export type WorkEvent = PushEvent | PullEvent;

type Verb = 'push' | 'pull';

interface ReporterOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

/** Does work and shows what it tells; takes down what is on the screen when it ends. */
export async function withReporter<T>(
  context: Context,
  options: ReporterOptions,
  work: (emit: Emit<WorkEvent>) => Promise<T>,
): Promise<T> {
  const reporter = createReporter(context, options);
  try {
    return await work(sayTransfer(context, reporter.emit));
  } finally {
    reporter.stop();
  }
}

/** Shows the events of a push or a pull to people or programs. */
export interface Reporter {
  readonly emit: Emit<WorkEvent>;
  /** Takes down what is on the screen. Call it before anything else is printed. */
  stop(): void;
}

/**
 * Writes JSON lines to stdout with `--json`; text to stderr otherwise: the plan, progress, warnings, the summary. A warning is
 * told once.
 */
export function createReporter(context: Context, options: ReporterOptions): Reporter {
  const { emit, stop } = options.json
    ? createJsonReporter(context, options.dryRun === true)
    : createTextReporter(context, options);
  const warnings = new Set<string>();
  return {
    stop,
    emit(event) {
      // A cache that is gone is so for every path.
      if (event.type === 'warning' && warnings.has(event.message)) return;
      if (event.type === 'warning') warnings.add(event.message);
      emit(event);
    },
  };
}

function createJsonReporter({ stdout }: Context, dryRun: boolean): Reporter {
  let plan: WorkEvent | undefined;
  return {
    emit(event) {
      // Of a dry run it is the result, and so the last line.
      if (dryRun && event.type === 'plan') plan = event;
      else writeJsonLine(stdout, lineOf(event));
    },
    stop() {
      if (plan) writeJsonLine(stdout, { ...lineOf(plan), result: 'planned' });
      plan = undefined;
    },
  };
}

/** Programs know these lines as they are: what a warning is about is for the code that chooses among them. */
function lineOf(event: WorkEvent): object {
  const { about: _, ...line } = { about: undefined, ...event };
  return event.type === 'summary' ? { ...line, result: 'done' } : line;
}

function createTextReporter(context: Context, options: CommonOptions): Reporter {
  const progress = createProgress(context, options);
  let state: ProgressState | undefined;
  const print = (text: string) => {
    progress?.stop();
    say(context, `${printable(text)}\n`);
  };
  const advance = (change: Partial<ProgressState>) => {
    if (state === undefined) return;
    state = { ...state, ...change };
    progress?.update(state);
  };
  const emit = (event: WorkEvent) => {
    switch (event.type) {
      case 'plan':
        if (progress) state = startOf({ verb: event.verb, unit: 'paths', items: event.transfer, bytes: event.narSize });
        if (!options.quiet) print(planText(event));
        break;
      case 'path-started':
        if (options.verbose) print(`${event.path} (${formatBytes(event.narSize)})`);
        break;
      case 'progress':
        advance({ bytesDone: (state?.bytesDone ?? 0) + event.bytes });
        break;
      case 'path-finished':
        advance({ itemsDone: (state?.itemsDone ?? 0) + 1 });
        progress?.finished({ name: event.path, size: event.narSize });
        break;
      case 'warning':
        print(`warning: ${event.message}`);
        break;
      case 'toolchain':
        if (!options.quiet) print(newerText(event));
        break;
      case 'pin-moved':
        if (!options.quiet) print(`\`${event.pin}\`: ${fromTo(event.before, event.now)}`);
        break;
      case 'pin':
        if (!options.quiet) print(`\`${event.name}\` stands for ${count(event.storePaths.length, 'path')} now`);
        break;
      case 'summary':
        if (!options.quiet) print(summaryText(event));
        break;
    }
  };
  return { emit, stop: () => progress?.stop() };
}

function planText(plan: PlanEvent<Verb>): string {
  const { verb, paths, present, skipped, transfer, narSize, isOfRoots, fetchSize = 0, hereSize = 0 } = plan;
  const where = verb === 'push' ? 'already cached' : 'already here';
  const what = verb === 'push' ? 'to upload' : 'to fetch';
  const elsewhere = skipped > 0 ? `${skipped} in another cache, ` : '';
  const more = isOfRoots ? withClosures(paths) : '';
  const here =
    hereSize > 0 ? `: ${formatBytes(hereSize)} of it are here, ${formatBytes(fetchSize)} compressed are not` : '';
  return `${count(paths, 'path')}${more}: ${present} ${where}, ${elsewhere}${transfer} ${what} (${formatBytes(narSize)})${here}`;
}

function newerText({ name, pin, locked, newest }: ToolchainEvent): string {
  return `\`${name}\`: the pin \`${pin}\` has moved on: ${fromTo(locked, newest)}; \`carport lock --update ${name}\` takes it`;
}

function summaryText(event: SummaryEvent<Verb>): string {
  const { verb, present, transferred, narSize, fileSize, signed, isOfRoots } = event;
  const done = verb === 'push' ? 'pushed' : 'pulled';
  const sizes = transferred > 0 ? ` (${formatBytes(narSize)}, ${formatBytes(fileSize)} compressed)` : '';
  const more = signed > 0 ? `, ${signed} signed` : '';
  return `${done} ${count(transferred, 'path')}${sizes}, ${present} ${present === 1 ? 'was' : 'were'} there${isOfRoots ? withClosures(present) : ''}${more}`;
}

function withClosures(roots: number): string {
  return roots === 1 ? ' with its closure' : ' with their closures';
}
