import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readListing } from '#index-generator/listing.js';
import { messagesOf } from '#lib/notice.js';
import { buildReleaseIndex } from '#release/catalog/build.js';
import { entryOf } from '#release/catalog/entry.js';
import type { Release } from '#release/catalog/model.js';
import { garageRules, ownRules } from '#release/catalog/rules.js';
import { compareText, compareVersions } from '#release/catalog/version-order.js';
import { listed, listedRelease, listingOfYears, TARGETS } from './listings.js';
import { allOf, fileOf, makeIndexOf } from './publications.js';

function releasesOf(listing: string) {
  return buildReleaseIndex(readListing(listing), ownRules()).index.releases;
}

function versions(releases: readonly Release[]): readonly string[] {
  return releases.map(({ version }) => version);
}

describe('a listing', () => {
  it('is read as the AWS command line prints it', () => {
    const key = '_releases/v1.2.0/x86_64-unknown-linux-musl/garage';
    const { files, warnings } = readListing(listed({ key, size: '1234' }));
    expect(files).toEqual([{ key, size: 1234, time: '2023-01-02T03:04:05Z' }]);
    expect(warnings).toEqual([]);
  });

  it('may have sizes that are longer than their column', () => {
    const [file] = readListing(listed({ key: '_releases/v1/x/y', size: '123456789012' })).files;
    expect(file!.size).toBe(123_456_789_012);
  });

  it('keeps spaces of keys, wherever they are', () => {
    const [file] = readListing(listed({ key: '_releases/ v1  0 /a b/ c ' })).files;
    expect(entryOf(file!, (text) => text)).toMatchObject({ version: ' v1  0 ', target: 'a b', file: { name: ' c ' } });
  });

  it('may have been on Windows', () => {
    const text = listingOfYears(5);
    expect(readListing(text.replaceAll('\n', '\r\n'))).toEqual(readListing(text));
  });

  it.each([
    ['a key of too few parts', listed({ key: '_releases/stray.txt' }), 'is not `_releases/VERSION/TARGET/FILE`'],
    ['a key of too many parts', listed({ key: '_releases/a/b/c/d' }), 'is not `_releases/VERSION/TARGET/FILE`'],
    ['a key without a target', listed({ key: '_releases/v1//garage' }), 'is not `_releases/VERSION/TARGET/FILE`'],
    ["a directory's mark", listed({ key: '_releases/v1/x/', size: '0' }), 'is not `_releases/VERSION/TARGET/FILE`'],
    ['a key that leads elsewhere', listed({ key: '_releases/../x/garage' }), 'has a part `.` or `..`'],
    ['a checksum', listed({ key: '_releases/v1/x/garage.sha256' }), 'is about another file'],
    ['a signature', listed({ key: '_releases/v1/x/garage.minisig' }), 'is about another file'],
    ['an empty file', listed({ key: '_releases/v1/x/garage', size: '0' }), 'is empty'],
    ['a key that is not UTF-8', listed({ key: '_releases/v\ufffd/x/garage' }), 'is not UTF-8'],
    ['a date that is none', listed({ key: '_releases/v1/x/garage', date: '2023-02-30' }), 'has no date'],
    ['a line of something else', 'fatal error: Unable to locate credentials\n', 'line 1: `fatal error: Unable to'],
  ])('passes over %s, and says so', (_, odd, why) => {
    const { index, warnings } = buildReleaseIndex(readListing(odd + listedRelease('v1.0.0')), ownRules());
    expect(index.releases.extra).toEqual([]);
    expect(index.releases.stable[0]!.targets).toHaveLength(TARGETS.length);
    expect(messagesOf(warnings)).toEqual([expect.stringContaining(why)]);
  });

  it('passes over other objects of the bucket and what is no object without a word', () => {
    const others = ['nix-cache-info', 'nar/x.nar.zst', '_releases.html', 'carport/releases/v1/x.json'];
    const lines = `                           PRE _releases/\n${others.map((key) => listed({ key })).join('')}\nTotal Objects: 4\n`;
    const { files, warnings } = readListing(`${lines}${listedRelease('v1.0.0')}   Total Size: 5\n`);
    expect(files).toHaveLength(TARGETS.length);
    expect(warnings).toEqual([]);
  });

  it('of a directory of a bucket says so, where nothing else is listed', () => {
    const keys = ['pre/x/_releases/v1.0.0/a/b', 'pre/x/_releases/v1.1.0/a/b', 'pre/_releases.html'];
    const elsewhere = keys.map((key) => listed({ key })).join('');
    expect(messagesOf(readListing(elsewhere).warnings)).toEqual([
      expect.stringContaining('keys below `pre/x/_releases/` are listed'),
    ]);
    expect(readListing(elsewhere + listedRelease('v1.0.0')).warnings).toEqual([]);
  });

  it('counts a key that is listed twice once, as it was listed last', () => {
    const key = '_releases/v1.0.0/x/garage';
    const { files, warnings } = readListing(listed({ key, size: '1' }) + listed({ key, size: '2' }));
    expect(files).toMatchObject([{ key, size: 2 }]);
    expect(messagesOf(warnings)).toEqual([`line 2: \`${key}\` is listed twice`]);
  });

  it('of any text is read', () => {
    const line = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string().map((key) => listed({ key: `_releases/${key}` })),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const text = lines.join('\n');
        for (const compat of [undefined, 'garage'] as const) {
          const publication = makeIndexOf(text, compat ? { compat } : {});
          expect(JSON.parse(fileOf(publication, '_releases.json'))).toHaveLength(3);
          expect(JSON.parse(fileOf(publication, 'releases/index.json')).releases).toHaveLength(publication.releases);
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('releases', () => {
  it('are stable with three numbers, development with a commit, else extra', () => {
    const commit = '0123456789abcdef0123456789abcdef01234567';
    const all = ['v1.2.3', 'v1.2.3.4', 'v1x2x3', 'v1.2.3-rc1', '1.2.3', commit, commit.slice(1), commit.toUpperCase()];
    const { stable, extra, development } = releasesOf(all.map((version) => listedRelease(version)).join(''));
    expect(versions(stable)).toEqual(['v1.2.3']);
    expect(development).toMatchObject([{ version: commit, commit, channel: 'development' }]);
    const long = commit + commit.slice(16);
    expect(releasesOf(listedRelease(long)).development).toMatchObject([{ version: long, commit: long }]);
    // Garage's own generator knows none of these.
    const { index } = buildReleaseIndex(readListing(listedRelease(long)), garageRules);
    expect(versions(index.releases.extra)).toEqual([long]);
    expect(extra).toHaveLength(6);
  });

  it('that are stable have the newest version first, whenever they were written', () => {
    const all = ['v0.9.0', 'v0.10.0', 'v0.10.1', 'v1.0.0', 'v0.4.0', 'v99999999999999999999.0.0'];
    const { stable } = releasesOf(all.map((version, index) => listedRelease(version, 30 - index)).join(''));
    expect(versions(stable)).toEqual(['v99999999999999999999.0.0', 'v1.0.0', 'v0.10.1', 'v0.10.0', 'v0.9.0', 'v0.4.0']);
  });

  it('of a component have a latest of their own, and are never that of the project', () => {
    const all = ['v1.0.0', 'v0.9.0', 'cli@v2.0.0', 'cli@v10.0.0', 'cli@v1.0.0-rc1', 'a@b@v3.0.0'];
    const listing = all.map((version, index) => listedRelease(version, index + 1)).join('');
    const publication = makeIndexOf(listing, { baseUrl: 'https://x.example/' });
    const latest = (name: string) => JSON.parse(fileOf(publication, `releases/latest/${name}.json`)).release;
    expect(latest('stable')).toMatchObject({ version: 'v1.0.0' });
    expect(latest('stable')).not.toHaveProperty('component');
    expect(latest('cli@stable')).toMatchObject({ version: 'cli@v10.0.0', component: 'cli', missingTargets: [] });
    expect(latest('cli@extra').version).toBe('cli@v1.0.0-rc1');
    expect(latest('a@b@stable').version).toBe('a@b@v3.0.0');
    const ordered = ['v1.0.0', 'v0.9.0', 'a@b@v3.0.0', 'cli@v10.0.0', 'cli@v2.0.0'];
    expect(versions(releasesOf(listing).stable)).toEqual(ordered);
    expect(fileOf(publication, 'releases/feed.atom')).not.toContain('cli@');
    expect(fileOf(publication, 'releases/all.atom')).toContain('cli@v10.0.0');
    const keys = [...publication.entries].map(({ key }) => key);
    expect(keys).toContain(`releases/latest/cli@stable/${TARGETS[0]}/garage`);
    for (const key of keys) expect([key, publication.owns(key)]).toEqual([key, key.startsWith('releases/')]);
    for (const key of [
      'releases/latest/cli@other.json',
      'releases/latest/@stable.json',
      'releases/latest/a b@stable/x/y',
    ])
      expect([key, publication.owns(key)]).toEqual([key, false]);
  });

  it('of other channels have the newest first, and of one time the highest version', () => {
    const listing = listedRelease('a', 1) + listedRelease('b', 3) + listedRelease('c-9', 2) + listedRelease('c-8', 2);
    expect(versions(releasesOf(listing).extra)).toEqual(['b', 'c-9', 'c-8', 'a']);
  });

  it('have the time of their oldest file', () => {
    const again = listed({ key: `_releases/v1.0.0/${TARGETS[0]}/garage`, date: '2024-05-05' });
    const [release] = releasesOf(listedRelease('v1.0.0', 1, TARGETS.slice(1)) + again).stable;
    expect(release!.time).toBe('2021-01-01T10:00:00Z');
  });

  it('have targets and files in the order of their names', () => {
    const keys = ['_releases/v1.0.0/x86_64/b', '_releases/v1.0.0/aarch64/b', '_releases/v1.0.0/x86_64/a'];
    const [release] = releasesOf(keys.map((key) => listed({ key })).join('')).stable;
    const shown = release!.targets.map(({ target, files }) => [target, ...files.map(({ name }) => name)]);
    expect(shown).toEqual([
      ['aarch64', 'b'],
      ['x86_64', 'a', 'b'],
    ]);
  });

  it('that are stable tell the targets that others have and they do not', () => {
    const listing =
      listedRelease('v1.0.0') + listedRelease('v1.1.0', 2, TARGETS.slice(1, 3)) + listedRelease('odd', 3, ['riscv']);
    const { stable, extra } = releasesOf(listing);
    expect(stable.map(({ missingTargets }) => missingTargets)).toEqual([[TARGETS[0], TARGETS[3]], []]);
    expect(extra[0]!.missingTargets).toEqual([]);
  });

  it('may have names of JavaScript', () => {
    expect(versions(releasesOf(listedRelease('__proto__') + listedRelease('constructor')).extra)).toEqual([
      'constructor',
      '__proto__',
    ]);
  });

  it('are the same whatever the order of the listing', () => {
    const lines = listingOfYears(20).split(/(?<=\n)/);
    const wanted = allOf(makeIndexOf(lines.join('')));
    const shuffled = fc.shuffledSubarray(lines, { minLength: lines.length, maxLength: lines.length });
    fc.assert(
      fc.property(shuffled, (other) => {
        expect(allOf(makeIndexOf(other.join('')))).toEqual(wanted);
      }),
      { numRuns: 20 },
    );
  });
});

describe('the order of versions', () => {
  it('is that of SemVer, and goes on where SemVer ends', () => {
    const ordered = [
      ...['nightly', '0.9', 'v1.0.0-0', 'v1.0.0-alpha', 'v1.0.0-alpha.1', 'v1.0.0-alpha.beta', 'v1.0.0-beta.2'],
      ...['v1.0.0-beta.11', 'v1.0.0-rc.1', 'v1.0.0', 'v1.0.0+build', 'v1.0.0.1', 'v1.0.2', 'v1.0.10', 'v1.2', 'v2.0.0'],
    ];
    expect([...ordered].reverse().sort(compareVersions)).toEqual(ordered);
  });

  it('is total', () => {
    const version = fc.string({ unit: fc.constantFrom('0', '1', '10', '.', '-', '+', 'a', 'v'), maxLength: 7 });
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)));
        expect(compareVersions(a, b) === 0).toBe(a === b);
        if (compareVersions(a, b) < 0 && compareVersions(b, c) < 0) expect(compareVersions(a, c)).toBeLessThan(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('of text is that of its bytes', () => {
    expect(['\u{1f600}', '\uffee', 'é', 'z'].sort(compareText)).toEqual(['z', 'é', '\uffee', '\u{1f600}']);
  });
});

describe('_releases.json', () => {
  it('has the shape of Garage, and addresses that work', () => {
    const publication = makeIndexOf(listed({ key: '_releases/v1 "x"/a?b/c#d' }), { baseUrl: 'https://x.example/' });
    expect(JSON.parse(fileOf(publication, '_releases.json'))[1]).toEqual({
      builds: [
        {
          builds: [
            {
              binary: 'c#d',
              date: '2023-01-02',
              path: '_releases/v1 "x"/a?b/c#d',
              platform: 'a?b',
              root: '_releases',
              size: '19000000',
              time: '03:04:05',
              url: 'https://x.example/_releases/v1%20%22x%22/a%3Fb/c%23d',
              version: 'v1 "x"',
            },
          ],
          version: 'v1 "x"',
        },
      ],
      description: expect.any(String),
      hide: true,
      name: 'Extra',
      type: 'tag',
    });
  });

  it('has addresses without a host when it does not know one', () => {
    const json = fileOf(makeIndexOf(listedRelease('v1.0.0')), '_releases.json');
    expect(json).toContain('"url":"/_releases/v1.0.0/');
  });

  it('leaves sidecars out', () => {
    const listing =
      listedRelease('v1.0.0') + listed({ key: '_releases/v1.0.0/x86_64-unknown-linux-musl/garage.sha256' });
    expect(allOf(makeIndexOf(listing))).toEqual(allOf(makeIndexOf(listedRelease('v1.0.0'))));
  });
});
