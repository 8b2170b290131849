/** What a cache holds and costs, as a page with plots. */

import type { RootUse } from '../../cache/stats/attribute.js';
import type { Snapshot } from '../../cache/stats/snapshots.js';
import type { CacheStats } from '../../cache/stats/stats.js';
import { formatBytes } from '../../lib/format-bytes.js';
import { type Markup, markup } from '../markup.js';
import { facts, pageOf } from './frame.js';
import { barPlot, growthPlot, treemapPlot } from './plots.js';

/** Rows of a table. */
const MOST_ROWS = 30;

/** The page. The same numbers give the same text. */
export function renderStatsPage(url: string, stats: CacheStats, snapshots: readonly Snapshot[]): string {
  const { objects, bytes, paths, compressionRatio, duplicates, orphans } = stats;
  const numbers: readonly (readonly [string, string])[] = [
    ['objects', objects.toLocaleString('en-US')],
    ['stored', formatBytes(bytes)],
    ['store paths', paths.toLocaleString('en-US')],
    ['compression', `${compressionRatio.toFixed(2)} : 1`],
    ['saved by equal NARs', formatBytes(duplicates.bytes)],
    ['orphans', formatBytes(orphans.bytes)],
  ];
  return pageOf(`What ${url} holds`, [
    markup`<p class="muted">As of <time datetime="${stats.time}">${stats.time.slice(0, 16).replace('T', ' ')} UTC</time></p>
`,
    facts(numbers),
    growth(stats, snapshots),
    closures(stats),
    section(
      'age',
      'Age',
      'Bytes of paths by the month in which they were pushed last.',
      barPlot(months(stats), 'Bytes by month'),
    ),
    groups(stats),
    names(stats),
  ]);
}

function growth({ time, bytes }: CacheStats, snapshots: readonly Snapshot[]): Markup {
  const plot = growthPlot([...snapshots.filter((one) => one.time < time), { time, bytes }], 'Growth of the bucket');
  const missing = markup`<p>There is no earlier snapshot: <code>carport cache stats --snapshot</code>, run every day, keeps them.</p>`;
  return section('growth', 'Growth', 'All objects of the bucket.', plot ?? missing);
}

function closures({ roots, shared, unrooted, beside }: CacheStats): Markup {
  const sizes = roots.map(({ kind, name, bytes }) => ({ name: nameOfRoot(kind, name), bytes })).slice(0, MOST_ROWS);
  const rest: readonly (readonly [string, number])[] = [
    ['shared by several of them', shared],
    ['needed by none of them', unrooted],
    ['beside paths: pins, the index of releases, other objects', beside],
  ];
  const rows = [
    ...roots
      .slice(0, MOST_ROWS)
      .map(
        ({ kind, name, paths, bytes, alone }) =>
          markup`<tr><th scope="row"><bdi>${nameOfRoot(kind, name)}</bdi></th><td class="number">${paths.toLocaleString('en-US')}</td><td class="number">${formatBytes(bytes)}</td><td class="number">${formatBytes(alone)}</td></tr>\n`,
      ),
    ...rest.map(
      ([name, bytes]) =>
        markup`<tr><th scope="row">${name}</th><td class="number"></td><td class="number"></td><td class="number">${formatBytes(bytes)}</td></tr>\n`,
    ),
  ];
  return section('closures', 'Closures', 'What each pin and release holds, and what would go with it.', [
    treemapPlot(sizes, 'The largest closures') ?? undefined,
    markup`<table>
<thead><tr><th scope="col">Pin or release</th><th scope="col" class="number">Paths</th><th scope="col" class="number">Holds</th><th scope="col" class="number">Alone</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  ]);
}

function nameOfRoot(kind: RootUse['kind'], name: string): string {
  return kind === 'lease' ? 'pushes under way' : `${kind} ${name}`;
}

function months({ months: all }: CacheStats) {
  return all.map(({ month, bytes }) => ({ name: month, bytes }));
}

const GROUPS: Readonly<Record<keyof CacheStats['groups'], string>> = {
  nars: 'NARs',
  narinfos: 'Narinfos',
  listings: 'Listings',
  belongings: 'Logs, realisations, debugging information',
  carport: 'Pins and what else carport keeps',
  releases: 'Releases',
  others: 'Other objects',
};

function groups({ groups: all }: CacheStats): Markup {
  const rows = Object.entries(GROUPS).map(([group, name]) => {
    const { objects, bytes } = all[group as keyof CacheStats['groups']];
    return markup`<tr><th scope="row">${name}</th><td class="number">${objects.toLocaleString('en-US')}</td><td class="number">${formatBytes(bytes)}</td></tr>\n`;
  });
  return section(
    'objects',
    'Objects',
    'What they are.',
    markup`<table>
<thead><tr><th scope="col">Kind</th><th scope="col" class="number">Objects</th><th scope="col" class="number">Bytes</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  );
}

function names({ names: all }: CacheStats): Markup {
  const rows = all
    .slice(0, MOST_ROWS)
    .map(
      ({ name, paths, bytes }) =>
        markup`<tr><th scope="row"><bdi>${name}</bdi></th><td class="number">${paths.toLocaleString('en-US')}</td><td class="number">${formatBytes(bytes)}</td></tr>\n`,
    );
  return section(
    'names',
    'Names',
    'Paths of one name, whatever their versions.',
    markup`<table>
<thead><tr><th scope="col">Name</th><th scope="col" class="number">Paths</th><th scope="col" class="number">Bytes</th></tr></thead>
<tbody>
${rows}</tbody>
</table>`,
  );
}

function section(
  id: string,
  name: string,
  description: string,
  content: Markup | undefined | readonly (Markup | undefined)[],
): Markup {
  return markup`<section aria-labelledby="${id}">
<h2 id="${id}">${name}</h2>
<p class="muted">${description}</p>
${content}
</section>
`;
}
