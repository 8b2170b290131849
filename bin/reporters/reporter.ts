/** Events as text or JSON lines. */

import { CarportError } from '../../lib/errors.js';
import type { Emit, WorkEvent } from '../../lib/events.js';
import { type CommonOptions, type Context, say, writeJsonLine } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { count, formatBytes } from '../cli/terminal.js';
import { createLiveProgress } from './live.js';
import { createPlainProgress } from './plain.js';
import type { Progress, ProgressState } from './progress.js';

/** Shows the events of a command to people or programs. */
export interface Reporter {
  readonly emit: Emit;
  /** Takes down what is on the screen. Call it before anything else is printed. */
  stop(): void;
}

const MODES = ['auto', 'tty', 'plain', 'none'] as const;
type Mode = (typeof MODES)[number];

/**
 * JSON lines on stdout with `--json`; text on stderr otherwise: the plan, progress, warnings, the summary. A warning is
 * told once.
 */
export function createReporter(context: Context, options: CommonOptions): Reporter {
  const { emit, stop } = options.json ? createJsonReporter(context) : createTextReporter(context, options);
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

function createJsonReporter({ stdout }: Context): Reporter {
  return { emit: (event) => writeJsonLine(stdout, event), stop() {} };
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
  const emit: Emit = (event) => {
    switch (event.type) {
      case 'plan':
        state = startOf(event);
        if (!options.quiet) print(planText(event));
        break;
      case 'path-started':
        if (options.verbose) print(`${event.path} (${formatBytes(event.narSize)})`);
        break;
      case 'progress':
        advance({ bytesDone: (state?.bytesDone ?? 0) + event.bytes });
        break;
      case 'path-finished':
        advance({ pathsDone: (state?.pathsDone ?? 0) + 1 });
        progress?.finished(event);
        break;
      case 'warning':
        print(`warning: ${event.message}`);
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

function createProgress(context: Context, { quiet, verbose }: CommonOptions): Progress | undefined {
  const mode = (context.env.CARPORT_PROGRESS || 'auto') as Mode;
  if (!MODES.includes(mode)) {
    throw new CarportError('E_USAGE', `CARPORT_PROGRESS=\`${mode}\` is not one of ${MODES.join(', ')}`);
  }
  if (mode === 'none' || quiet || verbose) return undefined;
  const terminal = context.stderr.isTTY && context.env.TERM !== 'dumb' && !context.env.CI;
  return mode === 'tty' || (mode === 'auto' && terminal)
    ? createLiveProgress(context.stderr)
    : createPlainProgress(context.stderr);
}

function startOf(plan: Extract<WorkEvent, { type: 'plan' }>): ProgressState {
  const { verb, transfer, narSize } = plan;
  return { verb, paths: transfer, pathsDone: 0, bytes: narSize, bytesDone: 0, startedAt: performance.now() };
}

function planText({ verb, paths, present, skipped, transfer, narSize }: Extract<WorkEvent, { type: 'plan' }>): string {
  const where = verb === 'push' ? 'already cached' : 'already here';
  const what = verb === 'push' ? 'to upload' : 'to fetch';
  const elsewhere = skipped > 0 ? `${skipped} in another cache, ` : '';
  return `${count(paths, 'path')}: ${present} ${where}, ${elsewhere}${transfer} ${what} (${formatBytes(narSize)})`;
}

function summaryText(event: Extract<WorkEvent, { type: 'summary' }>): string {
  const { verb, present, transferred, narSize, fileSize, signed } = event;
  const done = verb === 'push' ? 'pushed' : 'pulled';
  const sizes = transferred > 0 ? ` (${formatBytes(narSize)}, ${formatBytes(fileSize)} compressed)` : '';
  const more = signed > 0 ? `, ${signed} signed` : '';
  return `${done} ${count(transferred, 'path')}${sizes}, ${present} ${present === 1 ? 'was' : 'were'} there${more}`;
}
