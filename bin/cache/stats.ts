/** The commands `cache stats` and `cache export`: what a cache holds, in numbers and in tables. */

import { writeFile } from 'node:fs/promises';
import type { CacheUrl } from '../../cache/cache-url.js';
import type { Root } from '../../cache/gc/mark.js';
import { writeParquet } from '../../cache/stats/parquet.js';
import { renderMetrics } from '../../cache/stats/prometheus.js';
import { type CountedBucket, rootsOfPins } from '../../cache/stats/session.js';
import { keepSnapshot, readSnapshots, type Snapshot } from '../../cache/stats/snapshots.js';
import { type CacheStats, statsOf } from '../../cache/stats/stats.js';
import { renderStatsPage } from '../../index-generator/cache/stats-page.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { releaseOfKey } from '../../release/layout.js';
import { lookForReleaseRoots } from '../../release/store-path-roots.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { formatBytes, count as plural } from '../cli/terminal.js';
import { withCache } from '../cli/with-caches.js';
import { type Column, tableLines } from '../reporters/table.js';
import type { ExportTablesOptions, StatsOptions } from './command.js';
import { count, inventoryOf } from './count.js';

const COLUMNS: readonly Column[] = [
  { name: 'root' },
  ...['paths', 'holds', 'alone'].map((name) => ({ name, isNumber: true })),
];

/** Rows of people's tables. */
const MOST_ROWS = 20;

/** Shows what a cache holds, and to whom it is due. */
export async function showStats(url: CacheUrl, options: StatsOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }, signal) => {
    const inventory = await inventoryOf(url, options.inventory);
    const counted = await count(objects, options, context, signal, inventory);
    const stats = statsOf(counted.survey, {
      roots: await rootsOf(objects, counted),
      beside: counted.beside,
      releaseOf: releaseOfKey,
    });
    const growth = await readSnapshots(objects);
    if (options.snapshot) await keepSnapshot(objects, stats);
    if (options.html !== undefined) {
      await writeFile(options.html, renderStatsPage(objects.url, stats, growth));
      note(context, options, `wrote \`${options.html}\``);
    }
    if (options.json) return writeJson(context.stdout, { url: objects.url, ...stats, growth });
    if (options.prometheus) return writeLines(context.stdout, renderMetrics(objects.url, stats));
    await writeLines(context.stdout, table(objects.url, stats, growth));
  });
}

async function rootsOf(objects: ObjectStore, { pins }: CountedBucket): Promise<readonly Root[]> {
  return [...rootsOfPins(pins), ...(await lookForReleaseRoots(objects))];
}

function table(url: string, stats: CacheStats, growth: readonly Snapshot[]): readonly string[] {
  const { objects, bytes, paths, narSize, compressionRatio, duplicates, orphans, roots } = stats;
  const last = growth.at(-1);
  const grown = last && `${bytes >= last.bytes ? '+' : '-'}${formatBytes(Math.abs(bytes - last.bytes))}`;
  const facts: readonly (readonly [string, string])[] = [
    ['url', url],
    ['objects', `${objects} (${formatBytes(bytes)})`],
    ['paths', `${paths} (${formatBytes(narSize)} unpacked, ${compressionRatio.toFixed(2)} : 1)`],
    ['equal NARs', `${plural(duplicates.paths, 'path')} (${formatBytes(duplicates.bytes)} saved)`],
    ['orphans', `${orphans.objects} (${formatBytes(orphans.bytes)})`],
    ...(last && grown ? [['growth', `${grown} since ${last.time.slice(0, 10)}`] as const] : []),
  ];
  const rows = roots
    .slice(0, MOST_ROWS)
    .map(({ kind, name, ...use }) => [
      `${kind} ${name}`.trim(),
      `${use.paths}`,
      formatBytes(use.bytes),
      formatBytes(use.alone),
    ]);
  const rest = [
    ['(shared by several)', '', '', formatBytes(stats.shared)],
    ['(needed by none)', '', '', formatBytes(stats.unrooted)],
    ['(beside paths)', '', '', formatBytes(stats.beside)],
  ];
  return [
    ...facts.map(([name, value]) => `${name.padEnd(12)}${value}`),
    '',
    ...tableLines(COLUMNS, [...rows, ...rest]),
  ];
}

/** Writes what a cache holds as Parquet tables. */
export async function exportTables(url: CacheUrl, options: ExportTablesOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }, signal) => {
    const inventory = await inventoryOf(url, options.inventory);
    const counted = await count(objects, options, context, signal, inventory);
    const rows = await writeParquet(options.parquet, counted.survey, await rootsOf(objects, counted), counted.beside);
    if (options.json) return writeJson(context.stdout, { url: objects.url, directory: options.parquet, rows });
    await writeLines(
      context.stdout,
      Object.entries(rows).map(([name, number]) => `${name.padEnd(12)}${number}`),
    );
  });
}
