import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeIndex } from '#index-generator/index-files.js';
import { messagesOf } from '#lib/notice.js';
import { secretKeyFromSeed } from '#lib/signing/key.js';
import { buildReleaseIndex } from '#release/catalog/build.js';
import type { Release } from '#release/catalog/model.js';
import { ownRules } from '#release/catalog/rules.js';
import { TARGETS } from '../../index-generator/listings.js';
import {
  allOf,
  filesOf,
  filesOfFragment,
  fragmentOf,
  SHA256,
  SIZE,
  sourcesOf,
  type TestDocuments,
} from '../../index-generator/publications.js';

const COMMIT = '89abcdef01'.repeat(4);
const [ARM64, , , AMD64] = TARGETS as [string, string, string, string];

function built(documents: TestDocuments, trusted = true) {
  const { index, warnings } = buildReleaseIndex(sourcesOf(documents, trusted), ownRules());
  const { stable, extra, development } = index.releases;
  return { all: [...stable, ...extra, ...development], warnings: messagesOf(warnings) };
}

function only(documents: TestDocuments): Release {
  const { all, warnings } = built(documents);
  expect([all.length, warnings]).toEqual([1, []]);
  return all[0]!;
}

describe('what is signed about a release', () => {
  it('is told of it', () => {
    const ci = { system: 'drone', event: 'tag', runUrl: 'https://ci.example.org/1' };
    const files = [{ name: 'garage', size: SIZE, sha256: SHA256, storePath: '/nix/store/x' }];
    const promotion = { from: 'v1.0.0-rc1', gates: [{ gate: 'minimum-age', detail: '3 days old' }] };
    const fragment = fragmentOf('v1.0.0', AMD64, { commit: COMMIT, ci, files, promotion });
    expect(only({ fragments: [fragment] })).toEqual({
      ...{ version: 'v1.0.0', channel: 'stable', time: fragment.time, commit: COMMIT, ci, missingTargets: [] },
      ...{ changed: fragment.time, signed: fragment.time },
      promotedFrom: { version: 'v1.0.0-rc1', gates: promotion.gates },
      targets: [
        {
          target: AMD64,
          files: [
            {
              ...{ name: 'garage', key: `_releases/v1.0.0/${AMD64}/garage`, size: SIZE, sha256: SHA256 },
              ...{ time: '2026-05-05T05:05:05Z', storePath: '/nix/store/x' },
            },
          ],
        },
      ],
    });
  });

  it('has for the files of a promotion its time where the server gives them that of what they are copies of', () => {
    const promotion = { from: 'v1.0.0-rc1', gates: [] };
    const time = '2026-06-06T06:06:06Z';
    const timeOf = (more: object) =>
      only({ fragments: [fragmentOf('v1.0.0', AMD64, more)] }).targets[0]!.files[0]!.time;
    expect(timeOf({ promotion, time, changed: time })).toBe(time);
    expect(timeOf({ time, changed: time })).toBe('2026-05-05T05:05:05Z');
  });

  it('does not count when nobody who is trusted has signed it', () => {
    const fragments = [fragmentOf('v1.0.0', AMD64, { commit: COMMIT })];
    const yanks = [{ version: 'v1.0.0', reason: 'broken', time: '2026-01-01T00:00:00Z' }];
    const promotions = [{ version: 'v1.0.0', from: 'v0', time: '2026-01-01T00:00:00Z' }];
    const prunings = [{ version: 'v1.0.0', time: '2026-01-01T00:00:00Z' }];
    const files = fragments.flatMap(filesOfFragment);
    const untrusted = built({ fragments, yanks, promotions, prunings, files }, false);
    const bare = built({ files });
    // A yank may be somebody's who is only not known here: it hides, and what it says is not passed on.
    const yanked = { reason: 'there is a yank that could not be verified', time: null };
    expect(untrusted).toEqual({ ...bare, all: bare.all.map((release) => ({ ...release, yanked })) });
    expect(untrusted.all[0]).not.toHaveProperty('commit');
    expect(untrusted.all[0]!.targets[0]!.files[0]).not.toHaveProperty('sha256');
  });

  it('lets in no file that it does not name, of its target or of another', () => {
    const fragment = fragmentOf('v1.0.0', AMD64);
    const bare = [
      { key: `_releases/v1.0.0/${AMD64}/other`, size: 5, time: '2020-01-01T00:00:00Z' },
      { key: `_releases/v1.0.0/${ARM64}/garage`, size: 6, time: '2020-01-01T00:00:00Z' },
    ];
    const { all, warnings } = built({ fragments: [fragment], files: [...bare, ...filesOfFragment(fragment)] });
    // What was put or is being put by somebody else does not make it incomplete.
    expect(all).toEqual(built({ fragments: [fragment] }).all);
    expect(warnings).toEqual(
      bare.map(
        ({ key }) =>
          `\`${key}\` is not signed, as others of \`v1.0.0\` are, and is left out: it is being put, or a stranger's`,
      ),
    );
  });

  it('is missed where it has gone: files that were signed once are left out, and what is left is incomplete', () => {
    const [kept, gone] = [fragmentOf('v1.0.0', AMD64), fragmentOf('v1.0.0', ARM64)];
    const files = [kept, gone].flatMap(filesOfFragment);
    const strippedKeys = [`_releases/v1.0.0/${ARM64}/garage`];
    const part = built({ fragments: [kept], files, strippedKeys });
    expect(part.all).toMatchObject([{ incomplete: true, signed: kept.time, targets: [{ target: AMD64 }] }]);
    expect(part.all[0]!.targets).toHaveLength(1);
    const warning = `\`${strippedKeys[0]}\` was signed, and what was signed has gone: it is left out until \`carport release put\` signs it again`;
    expect(part.warnings).toEqual([warning]);
    // Nothing comes in the place of what was signed.
    const bare = { key: `_releases/v1.0.0/${ARM64}/other`, size: 5, time: '2020-01-01T00:00:00Z' };
    const none = built({ files: [...filesOfFragment(gone), bare], strippedKeys });
    expect(none.all).toEqual([]);
    expect(none.warnings).toEqual([warning, expect.stringContaining(`\`${bare.key}\` is not signed`)]);
    // `release put` has signed it again.
    expect(built({ fragments: [kept, gone], files, strippedKeys })).toEqual(built({ fragments: [kept, gone], files }));
  });

  it('is its newest time, and a yank that was taken back is newer than the yank', () => {
    const fragments = [
      fragmentOf('v1.0.0', AMD64, { time: '2026-01-01T00:00:00Z', changed: '2026-01-05T00:00:00Z' }),
      fragmentOf('v1.0.0', ARM64, { time: '2026-01-02T00:00:00Z' }),
    ];
    const times = { time: '2026-01-01T00:00:00Z', signed: '2026-01-05T00:00:00Z' };
    expect(only({ fragments })).toMatchObject({ ...times, changed: '2026-01-05T00:00:00Z' });
    const yank = (reason: string | null, time: string) =>
      only({ fragments, yanks: [{ version: 'v1.0.0', reason, time }] });
    expect(yank('broken', '2026-02-01T00:00:00Z')).toMatchObject({ ...times, changed: '2026-02-01T00:00:00Z' });
    const back = yank(null, '2026-03-01T00:00:00Z');
    expect(back).toMatchObject({ ...times, changed: '2026-03-01T00:00:00Z' });
    expect(back).not.toHaveProperty('yanked');
    expect(yank('broken', '2025-01-01T00:00:00Z').changed).toBe('2026-01-05T00:00:00Z');
  });

  it('leaves files out that are others than what was signed, or are not there', () => {
    const fragment = fragmentOf('v1.0.0', AMD64, {
      files: ['a', 'b', 'c'].map((name) => ({ name, size: SIZE, sha256: SHA256, storePath: null })),
    });
    const [a, b] = filesOfFragment(fragment);
    const { all, warnings } = built({ fragments: [fragment], files: [a!, { ...b!, size: SIZE + 1 }] });
    expect(all[0]).toMatchObject({ incomplete: true, targets: [{ files: [{ name: 'a' }] }] });
    expect(all[0]!.targets[0]!.files).toHaveLength(1);
    expect(warnings).toEqual([
      `\`_releases/v1.0.0/${AMD64}/b\` has 1001 bytes and not the 1000 that were signed, and is left out`,
      `\`_releases/v1.0.0/${AMD64}/c\` was signed and is not there, and is left out`,
    ]);
  });

  it('makes no release of files that are not there', () => {
    const { all, warnings } = built({ fragments: [fragmentOf('v1.0.0', AMD64)], files: [] });
    expect(all).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('was signed and is not there')]);
  });

  it('makes no build of a file about a file', () => {
    const files = ['garage', 'garage.sha256'].map((name) => ({ name, size: SIZE, sha256: SHA256, storePath: null }));
    const { all, warnings } = built({ fragments: [fragmentOf('v1.0.0', AMD64, { files })] });
    expect(all[0]!.targets[0]!.files.map(({ name }) => name)).toEqual(['garage']);
    expect(all[0]).not.toHaveProperty('incomplete');
    expect(warnings).toEqual([expect.stringContaining('is about another file')]);
  });

  it('gives the time of the first job and what that says of itself, not what is said of files that are not there', () => {
    const ci = (event: string) => ({ system: 'drone', event, runUrl: null });
    const early = fragmentOf('v1', 'z', { time: '2026-01-02T00:00:00Z', ci: ci('first') });
    const late = fragmentOf('v1', 'a', { time: '2026-01-03T00:00:00Z', ci: ci('second') });
    const gone = fragmentOf('v1', 'b', { time: '2020-01-01T00:00:00Z', ci: ci('gone') });
    const files = [early, late].flatMap(filesOfFragment);
    const [release] = built({ fragments: [gone, late, early], files }).all;
    expect(release).toMatchObject({ time: early.time, ci: { event: 'first' }, incomplete: true });
  });

  it('tells no commit and no origin on which jobs do not agree', () => {
    const fragments = [
      fragmentOf('v1', 'a', { commit: COMMIT, promotion: { from: 'v1-rc1', gates: [] } }),
      fragmentOf('v1', 'b', { commit: 'f'.repeat(40), promotion: { from: 'v1-rc2', gates: [] } }),
      fragmentOf('v2', 'a', { commit: COMMIT, promotion: { from: 'v2-rc1', gates: [] } }),
      fragmentOf('v2', 'b'),
    ];
    const { all, warnings } = built({ fragments });
    expect(all.map(({ version, commit, promotedFrom }) => [version, commit, promotedFrom])).toEqual([
      ['v2', COMMIT, undefined],
      ['v1', undefined, undefined],
    ]);
    expect(warnings).toEqual([
      `\`v1\` is of several commits, and none is told: ${COMMIT}, ${'f'.repeat(40)}`,
      '`v1` is not as a whole of one other release, and none is told',
      '`v2` is not as a whole of one other release, and none is told',
    ]);
  });

  it('does not make another commit of one', () => {
    const { all, warnings } = built({ fragments: [fragmentOf(COMMIT, AMD64, { commit: 'f'.repeat(40) })] });
    expect(all[0]).not.toHaveProperty('commit');
    expect(warnings).toEqual([expect.stringContaining('is of several commits')]);
  });

  it('has addresses of builds on the web only', () => {
    const runUrl = (url: string) =>
      only({ fragments: [fragmentOf('v1', 'a', { ci: { system: 'x', event: null, runUrl: url } })] }).ci?.runUrl;
    expect(runUrl('https://ci.example.org/1?x#y')).toBe('https://ci.example.org/1?x#y');
    for (const url of ['javascript:alert(1)', 'data:text/html,x', '//x', '', 'https://user:secret@x', ' https://x'])
      expect([url, runUrl(url)]).toEqual([url, null]);
  });

  it('yanks a release', () => {
    const yanks = [{ version: 'v1.0.0', reason: 'broken', time: '2026-04-01T00:00:00Z' }];
    expect(only({ fragments: [fragmentOf('v1.0.0', AMD64)], yanks }).yanked).toEqual({
      reason: 'broken',
      time: '2026-04-01T00:00:00Z',
    });
  });

  it('hides a release that is being made or removed', () => {
    const fragments = ['v1.0.0', 'v1.1.0', 'v1.2.0'].map((version) => fragmentOf(version, AMD64));
    const promotions = [{ version: 'v1.2.0', from: 'v1.2.0-rc1', time: '2026-01-01T00:00:00Z' }];
    const prunings = [{ version: 'v1.0.0', time: '2026-01-01T00:00:00Z' }];
    const stray = { key: '_releases/v1.0.0/x/y.sha256', size: 1, time: '2026-01-01T00:00:00Z' };
    // A part of the files has been copied, or removed.
    const files = [...filesOfFragment(fragments[1]!), stray];
    const { all, warnings } = built({ fragments, promotions, prunings, files });
    expect(all.map(({ version }) => version)).toEqual(['v1.1.0']);
    expect(warnings).toContain(
      '`v1.2.0` is not shown: its promotion from `v1.2.0-rc1` was begun on 2026-01-01T00:00:00Z and is not finished',
    );
  });

  it('hides nothing for a mark that was put back after its work was done', () => {
    const promotion = { from: 'v1.2.0-rc1', gates: [] };
    const fragments = [AMD64, ARM64].map((target) =>
      fragmentOf('v1.2.0', target, { promotion, time: '2026-03-01T00:00:00Z' }),
    );
    const mark = { version: 'v1.2.0', from: 'v1.2.0-rc1', time: '2026-01-01T00:00:00Z' };
    const files = fragments.flatMap(filesOfFragment);
    const versions = (documents: TestDocuments) => built(documents).all.map(({ version }) => version);
    expect(versions({ fragments, promotions: [mark], files })).toEqual(['v1.2.0']);
    expect(versions({ fragments, prunings: [{ version: 'v1.2.0', time: mark.time }], files })).toEqual(['v1.2.0']);
    expect(versions({ fragments, prunings: [{ version: 'v1.2.0', time: mark.time, deleting: true }], files })).toEqual(
      [],
    );
    expect(versions({ fragments, promotions: [{ ...mark, from: 'v1.2.0-rc2' }], files })).toEqual([]);
    expect(versions({ fragments, promotions: [{ ...mark, time: '2027-01-01T00:00:00Z' }], files })).toEqual([]);
    expect(versions({ fragments: fragments.slice(1), promotions: [mark], files })).toEqual([]);
  });

  it('says what stable releases lack of what is required', () => {
    const sources = sourcesOf({ fragments: [fragmentOf('v1.0.0', AMD64), fragmentOf('v1.0.0-rc1', AMD64)] });
    const { stable, extra } = buildReleaseIndex(sources, ownRules(), [ARM64, AMD64]).index.releases;
    expect([stable[0]!.missingTargets, extra[0]!.missingTargets]).toEqual([[ARM64], []]);
  });

  it('goes on with the warnings of the sources', () => {
    const sources = { ...sourcesOf({}), warnings: [{ message: 'first' }] };
    expect(buildReleaseIndex(sources, ownRules()).warnings).toEqual([{ message: 'first' }]);
  });
});

describe('the same sources', () => {
  it('give the same index, whatever their order', () => {
    const fragments = ['v1.0.0', 'v1.1.0', 'v1.1.0-rc1', COMMIT].flatMap((version, index) =>
      TARGETS.map((target) =>
        fragmentOf(version, target, {
          commit: COMMIT,
          time: `2026-01-0${index + 1}T00:00:00Z`,
          ci: { system: 'drone', event: target, runUrl: null },
        }),
      ),
    );
    const files = fragments.flatMap(filesOfFragment);
    const yanks = ['v1.0.0', 'v1.1.0-rc1'].map((version) => ({ version, reason: 'x', time: '2026-01-09T00:00:00Z' }));
    const key = secretKeyFromSeed('test-1', Buffer.alloc(32, 1));
    const make = (documents: TestDocuments) => allOf(makeIndex(sourcesOf(documents), { key, title: 'Garage' }));
    const wanted = make({ fragments, files, yanks });
    expect(wanted.length).toBeGreaterThan(20);
    const shuffled = <T>(items: readonly T[]) =>
      fc.shuffledSubarray([...items], { minLength: items.length, maxLength: items.length });
    fc.assert(
      fc.property(shuffled(fragments), shuffled(files), shuffled(yanks), (f, g, h) => {
        expect(make({ fragments: f, files: g, yanks: h })).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });

  it('give the same index each time that it is asked for its entries', () => {
    const publication = makeIndex(sourcesOf({ fragments: [fragmentOf('v1.0.0', AMD64)] }), {});
    expect(filesOf(publication)).toEqual(filesOf(publication));
  });
});
