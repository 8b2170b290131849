import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fragment, Pruning } from '#release/documents/kinds.js';
import { fileKey, fragmentKey } from '#release/layout.js';
import { type IndexedRelease, type PruneFacts, type PruneRules, planPruning } from '#release/prune/plan.js';
import { type ReleaseSources, sourcesOfFiles } from '#release/sources/sources.js';
import { channelRule } from '#release/version.js';

const DAY = 86_400_000;
const NOW = Date.parse('2026-11-21T12:00:00Z');
const daysAgo = (days: number) => new Date(NOW - days * DAY);
const timeOf = (days: number) => `${daysAgo(days).toISOString().slice(0, 19)}Z`;
const commit = (number: number) => number.toString(16).padStart(40, '0');

interface Build {
  readonly version: string;
  readonly days: number;
  readonly storePath?: string;
  readonly from?: string;
}

interface Given {
  readonly builds?: readonly Build[];
  readonly tombstones?: readonly (Pruning & { readonly modified?: Date })[];
  readonly more?: Partial<PruneFacts>;
  readonly sources?: Partial<ReleaseSources>;
}

function fragmentOf({ version, days, storePath, from }: Build): Fragment {
  return {
    ...{ version, target: 'x', commit: null, time: timeOf(days), changed: timeOf(days) },
    ci: { system: 'none', event: null, runUrl: null },
    files: [{ name: 'app', size: 10, sha256: 'a'.repeat(64), storePath: storePath ?? null }],
    promotion: from === undefined ? null : { from, gates: [] },
  };
}

function factsOf({ builds = [], tombstones = [], more = {}, sources = {} }: Given): PruneFacts {
  const channelOf = channelRule();
  const sorted = [...builds].sort((a, b) => a.days - b.days);
  return {
    sources: {
      ...sourcesOfFiles(
        builds.map(({ version, days }) => ({ key: fileKey(version, 'x', 'app'), size: 10, time: timeOf(days) })),
      ),
      fragments: builds
        .filter((build) => build.storePath ?? build.from)
        .map((build) => ({ key: fragmentKey(build.version, 'x'), value: fragmentOf(build), trusted: false })),
      ...sources,
    },
    releases: sorted.map(({ version, days }): IndexedRelease => ({ version, time: timeOf(days) })),
    latest: new Set(),
    channelOf,
    tombstones: tombstones.map((tombstone) => ({ modified: new Date(tombstone.time), ...tombstone })),
    pinned: new Map(),
    published: new Set(),
    now: NOW,
    ...more,
  };
}

const RULES: PruneRules = { channel: 'development', keep: 1, keepWithin: 0, grace: 7 * DAY };

/** What is done with which version, by their numbers. */
function planOf(given: Given, rules: Partial<PruneRules> = {}) {
  const plan = planPruning(factsOf(given), { ...RULES, ...rules });
  const numbers = (releases: readonly { readonly version: string }[]) =>
    releases.map(({ version }) => Number.parseInt(version, 16));
  return {
    hide: numbers(plan.hide),
    delete: numbers(plan.delete),
    restore: numbers(plan.restore),
    waiting: numbers(plan.waiting),
    published: numbers(plan.published),
    kept: Object.fromEntries(plan.kept.map(({ version, reason }) => [Number.parseInt(version, 16), reason])),
  };
}

const NOTHING = { hide: [], delete: [], restore: [], waiting: [], published: [], kept: {} };
const builds = [1, 2, 3, 4, 5].map((number) => ({ version: commit(number), days: number * 10 }));
const tombstone = (number: number, days: number, more: { deleting?: true; modified?: Date } = {}) => ({
  ...{ version: commit(number), time: timeOf(days) },
  ...more,
});

describe('a plan of what is pruned', () => {
  it('is empty where nothing is', () => {
    expect(planOf({})).toEqual(NOTHING);
  });

  it('keeps the newest and the younger ones, and hides the rest', () => {
    expect(planOf({ builds }, { keep: 2 })).toEqual({
      ...NOTHING,
      hide: [3, 4, 5],
      kept: { 1: 'newest', 2: 'newest' },
    });
    expect(planOf({ builds }, { keep: 1, keepWithin: 31 * DAY })).toMatchObject({
      hide: [4, 5],
      kept: { 1: 'newest', 2: 'young', 3: 'young' },
    });
    expect(planOf({ builds }, { keep: 9 }).hide).toEqual([]);
  });

  it('counts what is signed by itself: nobody can push it out with what is not', () => {
    const planted = [7, 8, 9].map((number) => ({ version: commit(number), days: 1 }));
    const signed = builds.map((build) => ({
      ...{ key: fragmentKey(build.version, 'x'), value: fragmentOf(build), trusted: true },
    }));
    const plan = planOf({ builds: [...builds, ...planted], sources: { fragments: signed } }, { keep: 2 });
    expect(plan).toMatchObject({ hide: [9, 3, 4, 5], kept: { 1: 'newest', 2: 'newest', 7: 'newest', 8: 'newest' } });
  });

  it('keeps what is stable by the default pattern, whatever the pattern is', () => {
    const channelOf = channelRule('release-[0-9]+');
    const tags = ['release-1', 'v1.0.0', 'v2.0.0-rc1', 'nightly'].map((version, index) => ({
      version,
      days: index + 1,
    }));
    const plan = planPruning(factsOf({ builds: tags, more: { channelOf } }), { ...RULES, channel: 'extra', keep: 0 });
    expect(plan.hide.map(({ version }) => version)).toEqual(['nightly']);
    expect(plan.kept.map(({ version }) => version)).toEqual(['v2.0.0-rc1']);
  });

  it('keeps the latest whatever is asked, also where that is not the newest', () => {
    expect(planOf({ builds }, { keep: 0 }).kept).toEqual({ 1: 'latest' });
    const latest = { latest: new Set([commit(3)]) };
    expect(planOf({ builds, more: latest }, { keep: 0 }).kept).toEqual({ 1: 'latest', 3: 'latest' });
  });

  it('keeps what a promotion refers to, whoever signed that', () => {
    const promoted = [...builds, { version: 'v1.0.0', days: 1, from: commit(4) }];
    expect(planOf({ builds: promoted }).kept).toEqual({ 1: 'newest', 4: 'promotion' });
    const promotion = { key: 'x', value: { version: 'v9', from: commit(3), time: timeOf(1) }, trusted: false };
    expect(planOf({ builds, sources: { promotions: [promotion] } }).kept).toMatchObject({ 3: 'promotion' });
    const target = { ...promotion, value: { ...promotion.value, version: commit(2) } };
    expect(planOf({ builds, sources: { promotions: [target] } }).kept).toMatchObject({ 2: 'promotion' });
    const elsewhere = fragmentOf({ version: 'v1.0.0', days: 50, from: commit(5) });
    const fragment = { key: fragmentKey(commit(2), 'x'), value: elsewhere, trusted: false };
    expect(planOf({ builds, sources: { fragments: [fragment] } }).kept).toMatchObject({ 5: 'promotion' });
  });

  it('keeps what a pin stands for', () => {
    const more = { pinned: new Map([['/nix/store/a', 'tool']]) };
    const built = builds.map((build, index) => ({ ...build, storePath: `/nix/store/${'abcde'[4 - index]}` }));
    expect(planOf({ builds: built, more }).kept).toEqual({ 1: 'newest', 5: 'pin' });
    const plan = planPruning(factsOf({ builds: built, more }), RULES);
    expect(plan.kept.find(({ reason }) => reason === 'pin')).toMatchObject({ pin: 'tool' });
  });

  it('keeps what was put within the last hour, by the store or by who put it, also in the future', () => {
    const young = builds.map((build) => (build.version === commit(4) ? { ...build, days: 0.04 } : build));
    expect(planOf({ builds: young }, { keep: 0 }).kept).toMatchObject({ 4: 'being-put' });
    const files = [{ key: fileKey(commit(3), 'y', 'app'), size: 1, time: timeOf(-1) }];
    expect(planOf({ builds, sources: { files } }).kept).toMatchObject({ 3: 'being-put' });
    const fragment = fragmentOf({ version: commit(2), days: 0 });
    const fragments = [{ key: fragmentKey(commit(2), 'x'), value: fragment, trusted: false }];
    expect(planOf({ builds, sources: { fragments } }).kept).toMatchObject({ 2: 'being-put' });
    expect(planOf({ builds: [...builds, { version: commit(6), days: 0.05 }] }, { keep: 0 }).kept).toEqual({
      6: 'latest',
    });
  });

  it('leaves other channels alone, and names that no document may have', () => {
    const others = ['v1.0.0', 'v2.0.0-rc1', '<script>', 'a b'].map((version) => ({ version, days: 100 }));
    const plan = planPruning(factsOf({ builds: [...builds, ...others] }), RULES);
    expect(plan.hide.map(({ version }) => version)).toEqual([2, 3, 4, 5].map(commit));
    const extra = planPruning(factsOf({ builds: [{ version: 'v9-rc', days: 1 }, ...others] }), {
      ...RULES,
      channel: 'extra',
    });
    expect(extra.hide.map(({ version }) => version)).toEqual(['v2.0.0-rc1']);
    expect(extra.kept.map(({ reason }) => reason)).toEqual(['newest', 'name', 'name']);
  });

  describe('of what is hidden', () => {
    it('deletes when the grace is over by both clocks', () => {
      const tombstones = [tombstone(3, 8), tombstone(4, 6), tombstone(5, 8, { modified: daysAgo(6) })];
      expect(planOf({ builds, tombstones })).toMatchObject({ hide: [2], delete: [3], waiting: [4, 5] });
      expect(planOf({ builds, tombstones: [tombstone(5, 6, { modified: daysAgo(8) })] })).toMatchObject({
        waiting: [5],
      });
      expect(planOf({ builds, tombstones }, { grace: 0 })).toMatchObject({ delete: [2, 3, 4, 5], waiting: [] });
    });

    it('waits for an index that does not show it', () => {
      const tombstones = [tombstone(4, 8), tombstone(5, 8)];
      const published = new Set([commit(5)]);
      expect(planOf({ builds, tombstones, more: { published } })).toMatchObject({ delete: [4], published: [5] });
      expect(planOf({ builds, tombstones, more: { published: undefined } })).toMatchObject({
        delete: [],
        published: [4, 5],
      });
      expect(planOf({ builds, more: { published } }, { grace: 0 })).toMatchObject({
        hide: [2, 3, 4, 5],
        delete: [2, 3, 4],
      });
      expect(planOf({ builds, more: { published: undefined } }, { grace: 0 }).delete).toEqual([]);
    });

    it('restores what is not to go any more, and what was put since', () => {
      const tombstones = [tombstone(2, 8), tombstone(5, 8)];
      expect(planOf({ builds, tombstones }, { keep: 3 })).toMatchObject({ restore: [2], delete: [5] });
      const files = [{ key: fileKey(commit(5), 'y', 'app'), size: 1, time: timeOf(7) }];
      expect(planOf({ builds, tombstones, sources: { files } })).toMatchObject({ restore: [5], delete: [2] });
    });

    it('completes a deletion that has begun, unless it is being put', () => {
      const tombstones = [tombstone(2, 1, { deleting: true }), tombstone(3, 1, { deleting: true })];
      const files = [{ key: fileKey(commit(3), 'y', 'app'), size: 1, time: timeOf(0) }];
      const more = { published: new Set([commit(2)]) };
      expect(planOf({ builds, tombstones, more, sources: { files } }, { keep: 9 })).toMatchObject({
        delete: [2],
        restore: [],
      });
    });

    it('deletes what has no files any more', () => {
      const tombstones = [tombstone(7, 8), tombstone(8, 1), tombstone(9, 1, { deleting: true })];
      expect(planOf({ builds, tombstones }, { keep: 9 })).toMatchObject({ delete: [7, 9], waiting: [8], restore: [] });
    });
  });

  it('never touches a stable release, what is protected, and the newest, whatever there is', () => {
    const version = fc.oneof(
      fc.integer({ min: 0, max: 6 }).map(commit),
      fc.constantFrom('v1.0.0', 'v1.0.1', 'v1.0', 'v1-rc1', 'nightly', '<b>', '..', 'latest', 'v1.0.0-rc1'),
    );
    const build = fc.record(
      {
        version,
        days: fc.oneof(fc.integer({ min: -1, max: 60 }), fc.constant(0.01)),
        storePath: fc.constantFrom('/nix/store/a', '/nix/store/b'),
        from: version,
      },
      { requiredKeys: ['version', 'days'] },
    );
    const pruning = fc.record(
      { version, time: fc.integer({ min: -1, max: 60 }).map(timeOf), deleting: fc.constant(true as const) },
      { requiredKeys: ['version', 'time'] },
    );
    const given = fc.record({
      builds: fc.uniqueArray(build, { selector: (each) => each.version, maxLength: 12 }),
      tombstones: fc.uniqueArray(pruning, { selector: (each) => each.version, maxLength: 6 }),
      more: fc.record({
        latest: fc.array(version, { maxLength: 1 }).map((versions) => new Set(versions)),
        published: fc.option(
          fc.array(version).map((versions) => new Set(versions)),
          { nil: undefined },
        ),
        pinned: fc.constant(new Map([['/nix/store/a', 'tool']])),
      }),
    });
    const rules = fc.record({
      channel: fc.constantFrom('development' as const, 'extra' as const),
      keep: fc.integer({ min: 0, max: 8 }),
      keepWithin: fc.integer({ min: 0, max: 60 }).map((days) => days * DAY),
      grace: fc.integer({ min: 0, max: 30 }).map((days) => days * DAY),
    });
    fc.assert(
      fc.property(given, rules, (facts, asked) => {
        const { builds, tombstones, more } = facts;
        const all = factsOf(facts);
        const ofChannel = all.releases.filter(({ version }) => channelRule()(version) === asked.channel);
        const plan = planPruning(all, asked);
        const begun = new Set(tombstones.filter(({ deleting }) => deleting).map((each) => each.version));
        const hidden = new Set(tombstones.map((each) => each.version));
        const going = [...plan.hide, ...plan.delete, ...plan.waiting, ...plan.published].map((each) => each.version);
        const promoted = new Set(builds.flatMap(({ from }) => from ?? []));
        for (const each of [...going, ...plan.restore.map(({ version }) => version)]) {
          expect(channelRule()(each)).toBe(asked.channel);
        }
        for (const each of going.filter((version) => !begun.has(version))) {
          expect(promoted).not.toContain(each);
          expect(builds.find(({ version }) => version === each)?.storePath).not.toBe('/nix/store/a');
          expect(ofChannel.slice(0, Math.max(asked.keep, 1)).map(({ version }) => version)).not.toContain(each);
          const days = builds.find(({ version }) => version === each)?.days;
          if (days !== undefined) expect(days * DAY).toBeGreaterThanOrEqual(asked.keepWithin);
          if (all.releases.some(({ version }) => version === each)) expect(more.latest).not.toContain(each);
        }
        for (const { version } of plan.delete) {
          const wasHidden = hidden.has(version) || asked.grace === 0;
          expect(wasHidden).toBe(true);
          if (!begun.has(version)) expect(more.published?.has(version)).toBe(false);
        }
        for (const { version, held } of plan.restore) if (begun.has(version)) expect(held.fragments).toHaveLength(1);
        for (const { version, held, tombstone } of plan.delete) {
          if (begun.has(version)) expect(held.files.every(({ time }) => time < tombstone!.time)).toBe(true);
        }
        expect(
          new Set(going).size + (asked.grace === 0 ? plan.delete.filter(({ tombstone }) => !tombstone).length : 0),
        ).toBe(going.length);
      }),
      { numRuns: 2000 },
    );
  });
});
