/** Which way of showing progress a command has: a live line, lines in a log, JSON, or none. */

import { CarportError } from '../../lib/errors.js';
import type { CommonOptions, Context } from '../cli/context.js';
import { createJsonProgress } from './json-progress.js';
import { createLiveProgress } from './live.js';
import { createPlainProgress } from './plain.js';
import type { Progress } from './progress.js';

const MODES = ['auto', 'tty', 'plain', 'none'] as const;
type Mode = (typeof MODES)[number];

/** What shows people how far it is, as `CARPORT_PROGRESS` and the options say; `undefined` where nothing is to. */
export function createProgress(context: Context, { quiet, verbose }: CommonOptions): Progress | undefined {
  const mode = progressMode(context);
  if (mode === 'none' || quiet || verbose) return undefined;
  const terminal = context.stderr.isTTY && context.env.TERM !== 'dumb' && !context.env.CI;
  return mode === 'tty' || (mode === 'auto' && terminal)
    ? createLiveProgress(context.stderr)
    : createPlainProgress(context.stderr);
}

/** What tells programs how far it is, in lines of JSON on stderr; `undefined` where nothing is to. */
export function createProgressForPrograms(context: Context, { quiet }: CommonOptions): Progress | undefined {
  return progressMode(context) === 'none' || quiet ? undefined : createJsonProgress(context.stderr);
}

function progressMode({ env }: Context): Mode {
  const mode = (env.CARPORT_PROGRESS || 'auto') as Mode;
  if (MODES.includes(mode)) return mode;
  throw new CarportError('E_USAGE', `CARPORT_PROGRESS=\`${mode}\` is not one of ${MODES.join(', ')}`);
}
