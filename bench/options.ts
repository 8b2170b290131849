/** The options of `npm run bench`. */

import { parseArgs } from 'node:util';
import { JOBS } from './jobs.js';

/** What is measured, and where it is written. */
export interface BenchOptions {
  readonly jobs: readonly string[];
  /** How often each side does each job. */
  readonly rounds: number;
  /** The file of results; else a new one in `bench/results`. */
  readonly output: string | undefined;
  /** Also write the table and the plot of `docs`. */
  readonly document: boolean;
  /** The help, where it was asked for. */
  readonly help?: string;
}

const DEFAULT_ROUNDS = 5;

const HELP = `npm run bench -- [--jobs NAME,…] [--rounds N] [--quick] [--output FILE] [--document]

  --jobs NAME,…   jobs to measure, by whole names or beginnings of them; else all
  --rounds N      how often each side does each job (${DEFAULT_ROUNDS})
  --quick         one round
  --output FILE   where results are written; else a new file in bench/results
  --document      write docs/performance.md and its plot, too

Jobs:
${JOBS.map(({ name, title }) => `  ${name.padEnd(26)} ${title}`).join('\n')}`;

/** Reads the options; throws for a job that there is not. */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      jobs: { type: 'string', multiple: true },
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      output: { type: 'string' },
      document: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const rounds = Number(values.rounds ?? (values.quick ? 1 : DEFAULT_ROUNDS));
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds ${values.rounds} is no number of rounds`);
  const wanted = values.jobs?.flatMap((text) => text.split(','));
  return {
    jobs: wanted === undefined ? JOBS.map(({ name }) => name) : wanted.flatMap(jobsNamed),
    rounds,
    output: values.output,
    document: values.document,
    ...(values.help && { help: HELP }),
  };
}

function jobsNamed(text: string): readonly string[] {
  const names = JOBS.map(({ name }) => name);
  const found = names.includes(text) ? [text] : names.filter((name) => name.startsWith(text));
  if (found.length === 0) throw new Error(`there is no job \`${text}\`; there are ${names.join(', ')}`);
  return found;
}
