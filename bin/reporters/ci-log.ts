/** What CI systems make of a log: whether one runs this, groups of lines, a summary of the job. */

import { appendFile } from 'node:fs/promises';
import { type CommonOptions, type Context, say } from '../cli/context.js';
import { redact } from '../cli/redact.js';
import { count, formatBytes } from '../cli/terminal.js';

/** Whether a CI system runs this. */
export function isInCi({ CI = '' }: NodeJS.ProcessEnv): boolean {
  return !['', 'false', '0'].includes(CI.toLowerCase());
}

/** Lines of a log that can be folded. */
export interface LogGroup {
  /** Ends it; what follows is always seen. Once is enough, and twice does nothing. */
  end(): void;
}

/** Begins a group of lines, where the CI system has such. */
export function beginGroup(context: Context, { json, quiet }: CommonOptions, title: string): LogGroup {
  const marks = json || quiet ? undefined : marksFor(context.env, title);
  if (marks === undefined) return { end() {} };
  say(context, marks.begin);
  let isOpen = true;
  return {
    end() {
      if (isOpen) say(context, marks.end);
      isOpen = false;
    },
  };
}

function marksFor(env: NodeJS.ProcessEnv, title: string): { readonly begin: string; readonly end: string } | undefined {
  const isActions = [env.GITHUB_ACTIONS, env.FORGEJO_ACTIONS, env.GITEA_ACTIONS].includes('true');
  if (isActions) return { begin: `::group::${title}\n`, end: '::endgroup::\n' };
  if (env.GITLAB_CI !== 'true') return undefined;
  const name = `${title.replace(/\W+/g, '_')}_${process.pid}`;
  const mark = (what: string, text: string) =>
    `\x1b[0Ksection_${what}:${Math.floor(Date.now() / 1000)}:${text}\r\x1b[0K`;
  return { begin: `${mark('start', `${name}[collapsed=true]`)}${title}\n`, end: `${mark('end', name)}\n` };
}

/** What a job has pushed. */
export interface JobSummary {
  readonly title: string;
  readonly cache: string;
  readonly pushed: number;
  readonly present: number;
  readonly skipped: number;
  /** Bytes as they were sent. */
  readonly fileSize: number;
  /** Paths that should be in the cache, and are not. */
  readonly missing?: readonly string[];
}

/** So many paths are named in a summary. */
const NAMED = 20;

/** Adds a table to the page of the job, where the CI system has one. That it cannot be written stops nothing. */
export async function addJobSummary({ env }: Context, summary: JobSummary): Promise<void> {
  const file = env.GITHUB_STEP_SUMMARY;
  if (!file) return;
  await appendFile(file, redact(renderSummary(summary))).catch(() => undefined);
}

function renderSummary({ title, cache, pushed, present, skipped, fileSize, missing = [] }: JobSummary): string {
  const rows = [
    ['cache', `\`${cache.replace(/[`|\n]/g, '')}\``],
    ['pushed', `${count(pushed, 'path')}, ${formatBytes(fileSize)} compressed`],
    ['were there', String(present)],
    ...(skipped > 0 ? [['in another cache', String(skipped)]] : []),
    ...(missing.length > 0 ? [['**not pushed**', String(missing.length)]] : []),
  ];
  const table = ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)];
  const more = missing.length > NAMED ? [`and ${missing.length - NAMED} more`] : [];
  const list = missing.length > 0 ? ['', ...missing.slice(0, NAMED).map((path) => `* \`${path}\``), ...more] : [];
  return ['', `### ${title}`, '', ...table, ...list, ''].join('\n');
}
