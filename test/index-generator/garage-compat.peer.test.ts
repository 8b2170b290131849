import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeIndex } from '#index-generator/index-files.js';
import { readListing } from '#index-generator/listing.js';
import { messagesOf } from '#lib/notice.js';
import { createNixStore, describeWithNix, type NixStore } from '../support/nix.js';
import { EXTRA_BY_GARAGE, listed, listedRelease, listingOfYears, STABLE_BY_GARAGE } from './listings.js';
import { fileOf, fragmentOf, makeIndexOf, sourcesOf } from './publications.js';

const REFERENCE = fileURLToPath(new URL('reference.nix', import.meta.url));
const GARAGE_URL = 'https://garagehq.deuxfleurs.fr/';
const RUNS = 30;
const LISTINGS_A_RUN = 12;

function ours(listing: string, baseUrl?: string): string {
  const options = { compat: 'garage', ...(baseUrl !== undefined && { baseUrl }) } as const;
  return fileOf(makeIndexOf(listing, options), '_releases.json');
}

/** The same from the files of a bucket, without the text of a listing. */
function oursOfFiles(listing: string): string {
  return fileOf(makeIndex(readListing(listing), { compat: 'garage' }), '_releases.json');
}

function versionsBySection(json: string): Record<string, readonly string[]> {
  const sections = JSON.parse(json) as readonly { name: string; builds: readonly { version: string }[] }[];
  return Object.fromEntries(sections.map(({ name, builds }) => [name, builds.map(({ version }) => version)]));
}

describeWithNix("`--compat garage`, beside the algorithm of Garage's own generator in Nix", () => {
  let nix: NixStore;
  let file: string;
  beforeAll(async () => {
    nix = await createNixStore();
    file = join(nix.root, 'listing');
  });
  afterAll(() => nix.remove());

  /** One start of Nix for several listings. */
  async function theirs(listings: readonly string[], baseUrl = GARAGE_URL): Promise<readonly string[]> {
    await Promise.all(listings.map((listing, index) => writeFile(`${file}-${index}`, listing)));
    const calls = listings.map((_, index) => `(f { listing = ${file}-${index}; baseUrl = "${baseUrl}"; })`);
    const expression = `let f = import ${REFERENCE}; in [ ${calls.join(' ')} ]`;
    const printed = await nix.run('nix-instantiate', ['--eval', '--strict', '--json', '--expr', expression]);
    return JSON.parse(printed) as readonly string[];
  }

  it('gives the same bytes for the tags of years and their commits', async () => {
    const listing = listingOfYears();
    expect([ours(listing)]).toEqual(await theirs([listing]));
    expect(oursOfFiles(listing)).toBe(ours(listing));
  });

  it.each([
    ['nothing', ''],
    ['nothing but a newline', '\n'],
    ['one release', listedRelease('v1.2.3')],
    ['sidecars, files that are empty and files without an ending newline', sidecars().trimEnd()],
    ['keys with slashes and spaces', oddKeys()],
    ['keys of fewer than four parts', listed({ key: '_releases/stray.txt' }) + listed({ key: '_releases/v1.0.0/x' })],
    ['times that are the same', ['b', 'a', 'c'].map((version) => listedRelease(version)).join('')],
    ['lines of no object', `                           PRE x/\n${listedRelease('v1.0.0')}\nTotal Objects: 4\n`],
    ['lines that end as on Windows', listingOfYears(3).replaceAll('\n', '\r\n')],
    ['text that JSON escapes', listed({ key: '_releases/"\\\t\x01\x1f\x7fé\u2028/<b>/\u{1f600}' })],
  ])('gives the same bytes for %s', async (_, listing) => {
    expect([ours(listing)]).toEqual(await theirs([listing]));
    // Of files it is not known how their lines ended.
    expect(oursOfFiles(listing)).toBe(ours(listing.replaceAll('\r', '')));
  });

  it('gives the same bytes for another base URL', async () => {
    const listing =
      listedRelease('v1.2.3') + listed({ key: '_releases/v1 2/a/b' }) + listed({ key: '_releases/ü/a/b' });
    expect([ours(listing, 'https://x.example/y/')]).toEqual(await theirs([listing], 'https://x.example/y/'));
  });

  it('gives the same bytes for keys of chance', { timeout: 120_000 }, async () => {
    const digits = fc.string({ unit: fc.constantFrom('0', '1', '9', '10', '.', '_', 'v', 'é', '-'), maxLength: 6 });
    const looksStable = fc
      .tuple(fc.nat(30), fc.constantFrom('.', '_', '-', 'é', ''), fc.nat(30), fc.nat(30), digits)
      .map(([a, dot, b, c, rest]) => `v${a}.${b}${dot}${c}${rest}`);
    const commit = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 39, maxLength: 41 });
    // Nix reads no NUL, and versions of it differ in how they print \b and \f.
    const free = fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replace(/[\0\b\f\r\n]/g, ''));
    const part = fc.oneof({ weight: 3, arbitrary: looksStable }, commit, free);
    const object = fc.record({
      key: fc
        .tuple(part, fc.array(fc.oneof(part, fc.constantFrom('x', 'y')), { maxLength: 4 }))
        .map(([version, rest]) => ['_releases', version, ...rest].join('/')),
      date: fc.constantFrom('2021-01-01', '2021-01-02', '2022-01-01'),
      time: fc.constantFrom('00:00:00', '00:00:01', '12:00:00'),
      size: fc.nat().map(String),
    });
    const listing = fc.array(object, { maxLength: 30 }).map((objects) => objects.map(listed).join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.array(listing, { minLength: LISTINGS_A_RUN, maxLength: LISTINGS_A_RUN }),
        async (listings) => {
          expect(listings.map((each) => ours(each))).toEqual(await theirs(listings));
        },
      ),
      { numRuns: RUNS },
    );
  });
});

describe('--compat garage', () => {
  it('takes any character for the dots, and a fourth number', () => {
    const { Release, Extra, Development } = versionsBySection(ours(listingOfYears(3)));
    expect([...Release!].sort()).toEqual([...STABLE_BY_GARAGE].sort());
    expect([...Extra!].sort()).toEqual([...EXTRA_BY_GARAGE].sort());
    expect(Development).toHaveLength(3);
  });

  it('sorts stable releases as text', () => {
    const versions = ['v0.10.0', 'v0.4.0', 'v0.7.2_2', 'v0.8.4', 'v0.9.0'];
    const listing = versions.map((version) => listedRelease(version)).join('');
    expect(versionsBySection(ours(listing)).Release).toEqual(['v0.9.0', 'v0.8.4', 'v0.7.2_2', 'v0.4.0', 'v0.10.0']);
  });

  it('says which keys are left out for their spaces', () => {
    const { warnings } = makeIndexOf(listedRelease('v1.0.0') + oddKeys(), { compat: 'garage' });
    expect(messagesOf(warnings)).toContain('`_releases/v1.0.0/a b/c` has spaces, and `--compat garage` leaves it out');
  });

  it('is not changed by what is signed about releases', () => {
    const listing = listingOfYears(3);
    const { files } = readListing(listing);
    const fragments = files.map(({ key, size }, index) => {
      const [, version, target] = key.split('/') as [string, string, string];
      const about = { name: 'garage', size: size + (index % 2), sha256: 'a'.repeat(64), storePath: null };
      return fragmentOf(version, target, { time: '1999-01-01T00:00:00Z', files: [about] });
    });
    const yanks = [{ version: 'v1.0.0', reason: 'broken', time: '2026-01-01T00:00:00Z' }];
    const publication = makeIndex(sourcesOf({ files, fragments, yanks }), { compat: 'garage' });
    expect(publication.warnings.length).toBeGreaterThan(10);
    expect(fileOf(publication, '_releases.json')).toBe(ours(listing));
  });

  it('hides what is being made or removed', () => {
    const { files } = readListing(listedRelease('v1.0.0') + listedRelease('v1.1.0') + listedRelease('v1.2.0'));
    const promotions = [{ version: 'v1.2.0', from: 'v1.2.0-rc1', time: '2026-01-01T00:00:00Z' }];
    const prunings = [{ version: 'v1.0.0', time: '2026-01-01T00:00:00Z' }];
    const json = fileOf(makeIndex(sourcesOf({ files, promotions, prunings }), { compat: 'garage' }), '_releases.json');
    expect(versionsBySection(json)).toEqual({ Release: ['v1.1.0'], Extra: [], Development: [] });
  });
});

function sidecars(): string {
  const key = '_releases/v1.0.0/x86_64-unknown-linux-musl/garage';
  return (
    listed({ key }) + listed({ key: `${key}.sha256` }) + listed({ key: '_releases/v1.0.0/i686/garage', size: '0' })
  );
}

function oddKeys(): string {
  const keys = ['_releases/feature/x/i686-unknown-linux-musl/garage', '_releases/v1.0.0/a b/c', '_releases/v1//garage'];
  return keys.map((key) => listed({ key })).join('');
}
