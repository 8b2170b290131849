/** The numbers of a cache as text for Prometheus: what its node exporter collects from files. */

import type { CacheStats } from './stats.js';

/**
 * The lines of metrics in Prometheus's text format, version 0.0.4. `url` has no credentials. Names of pins become labels; there are as
 * many series as the cache has pins and releases.
 */
export function renderMetrics(url: string, stats: CacheStats): readonly string[] {
  const cache = { cache: url };
  const metrics: readonly Metric[] = [
    gauge('objects', 'Objects of the bucket by what they are.', groups(stats, cache, 'objects')),
    gauge('bytes', 'Bytes of the bucket by what they are.', groups(stats, cache, 'bytes')),
    gauge('paths', 'Store paths.', [[cache, stats.paths]]),
    gauge('nar_bytes', 'Bytes of all store paths before compression.', [[cache, stats.narSize]]),
    gauge('compression_ratio', 'Bytes before compression for each that is stored.', [[cache, stats.compressionRatio]]),
    gauge('duplicate_bytes', 'Bytes saved since paths have equal NARs.', [[cache, stats.duplicates.bytes]]),
    gauge('orphan_bytes', 'Bytes of NARs and listings that no narinfo names.', [[cache, stats.orphans.bytes]]),
    gauge('shared_bytes', 'Bytes that several roots need.', [[cache, stats.shared]]),
    gauge('unrooted_bytes', 'Bytes of paths that no root needs.', [[cache, stats.unrooted]]),
    gauge('root_bytes', 'Bytes of the closure of a pin or a release.', roots(stats, cache, 'bytes')),
    gauge('root_alone_bytes', 'Bytes that only this pin or release needs.', roots(stats, cache, 'alone')),
    gauge('surveyed_timestamp_seconds', 'When the cache was counted.', [[cache, Date.parse(stats.time) / 1000]]),
  ];
  return metrics.flatMap(renderMetric);
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

function gauge(name: string, help: string, samples: readonly Sample[]): Metric {
  return { name: `carport_cache_${name}`, help, samples };
}

function groups(
  { groups: all }: CacheStats,
  cache: Readonly<Record<string, string>>,
  of: 'objects' | 'bytes',
): readonly Sample[] {
  return Object.entries(all).map(([kind, amount]) => [{ ...cache, kind }, amount[of]]);
}

function roots(stats: CacheStats, cache: Readonly<Record<string, string>>, of: 'bytes' | 'alone'): readonly Sample[] {
  return stats.roots.map(({ kind, name, ...use }) => [{ ...cache, kind, name }, use[of]]);
}

function renderMetric({ name, help, samples }: Metric): readonly string[] {
  const lines = samples.map(([labels, value]) => {
    const texts = Object.entries(labels).map(([label, text]) => `${label}="${escapeLabel(text)}"`);
    return `${name}{${texts.join(',')}} ${value}`;
  });
  return [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines];
}

function escapeLabel(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
