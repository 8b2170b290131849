/** Results as a table, as JSON, and as a page of the documentation. */

import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BenchResults, renderPage } from './page.js';
import { renderPlot } from './plot.js';
import { type JobResult, middleOf, type Sample } from './rounds.js';

const TOP = fileURLToPath(new URL('../../', import.meta.url));

export function printTable(results: readonly JobResult[]): void {
  console.log(renderTable(results));
}

/** Writes the results as JSON, and where asked the page and its plot. */
export async function writeResults(
  all: BenchResults,
  { output, document }: { readonly output: string | undefined; readonly document: boolean },
): Promise<void> {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '');
  const file = output ?? join(TOP, 'bench/results', `${time}.json`);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(all, null, 1)}\n`);
  console.error(`written to ${file}`);
  if (!document) return;
  await writeFile(join(TOP, 'docs/performance.md'), renderPage(all, renderTable(all.results)));
  await writeFile(join(TOP, 'docs/performance.svg'), renderPlot(all.results));
}

function renderTable(results: readonly JobResult[]): string {
  const head = ['job', 'carport', 'peer', 'time ÷', 'at most', 'CPU ÷', 'memory', 'requests'];
  const rows = results.map((result) => [
    result.job.name,
    renderSide(result.carport),
    renderSide(result.peer),
    renderRatio(result.time),
    result.job.bar.most.toFixed(2),
    renderRatio(result.cpu),
    `${megabytes(result.carport)} / ${megabytes(result.peer)} MB`,
    result.carport[0]?.requests === undefined
      ? ''
      : `${middleOf(result.carport, 'requests')} / ${middleOf(result.peer, 'requests')}`,
  ]);
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

function renderSide(samples: readonly Sample[]): string {
  return `${middleOf(samples, 'seconds').toFixed(2)} s, CPU ${middleOf(samples, 'cpu').toFixed(2)} s`;
}

function renderRatio({ ratio, least, most }: JobResult['time']): string {
  return `**${ratio.toFixed(2)}** (${least.toFixed(2)}–${most.toFixed(2)})`;
}

function megabytes(samples: readonly Sample[]): number {
  return Math.round(middleOf(samples, 'memory') / 1e6);
}
