/** What a bucket says to the files of the index. */

import { createHash } from 'node:crypto';
import { aboutKey, type Notice } from '../lib/notice.js';
import type { SecretKey } from '../lib/signing/key.js';
import {
  createMinisignHash,
  minisignKey,
  renderMinisignKey,
  type SignedAbout,
  signMinisign,
} from '../lib/signing/minisign.js';
import { buildReleaseIndex } from '../release/catalog/build.js';
import { hiddenVersions } from '../release/catalog/hidden.js';
import { allLatestOf, warningsOfLatest } from '../release/catalog/latest.js';
import { allReleases, type Release, type ReleaseIndex } from '../release/catalog/model.js';
import { isPlainTag } from '../release/catalog/plain-tags.js';
import { garageRules, ownRules } from '../release/catalog/rules.js';
import {
  FEED,
  FILES,
  GARAGE_JSON,
  INDEX_JSON,
  isIndexKey,
  isSimpleKey,
  latestFileKey,
  latestKey,
  PAGE,
  ROOT_PAGE,
  STABLE_FEED,
  SUMS,
  signatureKey,
  sumsKey,
  targetSumsKey,
} from '../release/layout.js';
import type { Publication, PublishedCopy, PublishedFile } from '../release/publish/publication.js';
import type { ReleaseSources } from '../release/sources/sources.js';
import { CHANNELS, type ChannelRule } from '../release/version.js';
import { renderSums, renderTargetSums } from './checksums.js';
import { renderFeed } from './feed.js';
import { isLeftOutByGarage, renderCompatibleGarageJson, renderGarageJson } from './garage-json.js';
import { isReleasePage, renderPage } from './html/page.js';
import { type Theme, useTheme } from './html/theme.js';
import { renderIndexJson, renderLatestJson } from './index-json.js';
import { joinPieces } from './join-strings.js';
import type { Forge } from './links.js';
import { linesOf, renderListedFile } from './listing.js';
import { isOwnSimplePage, type SimpleIndexRule, simpleEntries, warningsOfSimple } from './simple/pages.js';

export interface IndexOptions {
  /** Where the bucket's objects are, with a `/` at the end. Without it links have no host. */
  readonly baseUrl?: string;
  /** The channels of versions, unless Garage's own are asked for. */
  readonly channelOf?: ChannelRule;
  /** Do as Garage's own generator does. */
  readonly compat?: 'garage';
  /** The listing that the files were read of, if one was: Garage's own generator takes its very words. */
  readonly listing?: string;
  /** Heading of the page. */
  readonly title?: string;
  /** Where the sources are. */
  readonly forge?: Forge;
  /** A release that lacks one of these is not the latest of its channel. */
  readonly requiredTargets?: readonly string[];
  /** Without an address: take away feeds of an earlier index, which otherwise stay as they are. */
  readonly dropFeeds?: boolean;
  /** Signs the index and the checksums, as minisign does. */
  readonly key?: SecretKey;
  readonly theme?: Theme;
  /** A picture, as a `data:` URL. */
  readonly logo?: string;
  /** When there are indexes that Python's installers read; where there is something for them, unless it is said. */
  readonly simpleIndex?: SimpleIndexRule;
  /** Have the page at the root, too: in the place of whatever is there, or of a page of releases alone. */
  readonly rootPage?: 'replace' | 'keep';
}

const DEFAULT_TITLE = 'Releases';

const FEEDS: readonly string[] = [STABLE_FEED, FEED];

const TEXT = 'text/plain; charset=utf-8';
const JSON_TYPE = 'application/json';
const ATOM = 'application/atom+xml';

/** Makes the index of what a bucket says. The same sources give the same bytes. */
export function makeIndex(sources: ReleaseSources, options: IndexOptions): Publication {
  const { compat, channelOf, requiredTargets, baseUrl, dropFeeds } = options;
  const rules = compat ? garageRules : ownRules(channelOf);
  const { index, warnings } = buildReleaseIndex(sources, rules, requiredTargets);
  const more = [
    ...warningsOfLatest(index, requiredTargets ?? []),
    ...(compat ? tellLeftOut(sources) : []),
    ...warningsOfSimple(index, options.simpleIndex ?? 'auto'),
    ...tellColours(options),
  ];
  return {
    entries: entriesOf(index, options, garageJsonOf(index, compat ? sources : undefined, options)),
    releases: allReleases(index).length,
    ...(index.updated !== undefined && { updated: index.updated }),
    ...(compat === undefined && neverStable(index)),
    warnings: [...warnings, ...more],
    owns: (key) =>
      isSimpleKey(key) || (isIndexKey(key) && (baseUrl !== undefined || dropFeeds === true || !FEEDS.includes(key))),
    recognizes: (key) => (isSimpleKey(key) ? isOwnSimplePage : undefined),
  };
}

function tellColours({ theme }: IndexOptions): readonly Notice[] {
  return useTheme(theme).corrected.map(({ given, used, scheme }) => ({
    message: `the colour \`${given}\` cannot be read on ${scheme} ground: the page has \`${used}\` in its place`,
  }));
}

/** One that looks like the tag of a release, if any does. */
function neverStable({ releases: { stable, extra } }: ReleaseIndex): Pick<Publication, 'neverStable'> {
  const own = extra.filter(({ component }) => component === undefined);
  const isStable = stable.some(({ component }) => own.length === 0 || component === undefined);
  const tags = own.length === 0 ? extra : own;
  const first = tags.find(({ version }) => isPlainTag(version)) ?? tags[0];
  return isStable || first === undefined ? {} : { neverStable: first.version };
}

/** Each is made when it is asked for. */
function entriesOf(
  index: ReleaseIndex,
  options: IndexOptions,
  garageJson: () => Iterable<string>,
): Publication['entries'] {
  return { [Symbol.iterator]: () => makeEntries(index, options, garageJson) };
}

/** Of the sources where they are given: otherwise they need not stay in memory. */
function garageJsonOf(
  index: ReleaseIndex,
  sources: ReleaseSources | undefined,
  { listing, baseUrl }: IndexOptions,
): () => Iterable<string> {
  if (sources) return () => renderCompatibleGarageJson(garageLines(sources, listing), baseUrl);
  return () => renderGarageJson(index, baseUrl);
}

/** What others lead to is before them, and a signature before its file: who finds the new file finds its signature, too. */
function* makeEntries(
  index: ReleaseIndex,
  options: IndexOptions,
  garageJson: () => Iterable<string>,
): Generator<PublishedFile | PublishedCopy> {
  const { baseUrl, title = DEFAULT_TITLE, forge, key, requiredTargets = [], theme, logo, rootPage } = options;
  for (const release of allReleases(index)) yield* sumsOf(release, key);
  yield* signed(
    largeFile(INDEX_JSON, JSON_TYPE, () => renderIndexJson(index, title, baseUrl)),
    { fileName: 'index.json', time: index.updated },
    key,
  );
  if (baseUrl !== undefined) yield* feedsOf(index, title, baseUrl);
  yield* latestEntries(index, requiredTargets, baseUrl);
  yield* simpleEntries(index, options.simpleIndex ?? 'auto');
  yield largeFile(GARAGE_JSON, JSON_TYPE, garageJson);
  const page = renderPage(index, {
    ...{ title, requiredTargets, ...(baseUrl !== undefined && { baseUrl }), ...(forge && { forge }) },
    ...(key && { minisignKey: renderMinisignKey(minisignKey(key.publicKey)) }),
    ...(theme && { theme }),
    ...(logo !== undefined && { logo }),
  });
  const file = { content: page, contentType: 'text/html; charset=utf-8' };
  yield { ...file, key: PAGE };
  if (rootPage) yield { ...file, key: ROOT_PAGE, ...(rootPage === 'keep' && { mayReplace: isReleasePage }) };
}

/** They are of addresses, and without any there are none. */
function* feedsOf(index: ReleaseIndex, title: string, baseUrl: string): Generator<PublishedFile> {
  const feeds = [
    {
      key: STABLE_FEED,
      title: `${title} (stable)`,
      releases: index.releases.stable.filter(({ component }) => component === undefined),
    },
    { key: FEED, title: `${title} (all)`, releases: allReleases(index) },
  ];
  for (const { releases, ...about } of feeds) {
    yield { key: about.key, content: renderFeed(releases, { ...about, baseUrl }), contentType: ATOM };
  }
}

/** Made when it is asked for. */
function largeFile(key: string, contentType: string, pieces: () => Iterable<string>): PublishedFile {
  let content: string | undefined;
  return {
    key,
    contentType,
    pieces,
    get content() {
      content ??= joinPieces(pieces());
      return content;
    },
  };
}

function* sumsOf(release: Release, secretKey: SecretKey | undefined): Generator<PublishedFile> {
  const { version, signed: time, targets } = release;
  const about = { fileName: SUMS, time, version };
  yield* signedText(sumsKey(version), renderSums(release), about, secretKey);
  for (const each of targets) {
    const { target } = each;
    yield* signedText(targetSumsKey(version, target), renderTargetSums(each), { ...about, target }, secretKey);
  }
}

/** Nothing where there is no place for it, or nothing to say. */
function* signedText(
  key: string | undefined,
  content: string | undefined,
  about: AboutFile,
  secretKey: SecretKey | undefined,
): Generator<PublishedFile> {
  if (key === undefined || content === undefined) return;
  yield* signed({ key, content, contentType: TEXT }, about, secretKey);
}

/** What is signed with a file; `time` is when it was last true, and no clock's. */
interface AboutFile extends Omit<SignedAbout, 'timestamp'> {
  readonly time: string | undefined;
}

/** A file and its signature. Signatures are made when they are asked for. */
function* signed(
  file: PublishedFile,
  { time, ...about }: AboutFile,
  key: SecretKey | undefined,
): Generator<PublishedFile> {
  if (!key) return yield file;
  const hash = createMinisignHash();
  for (const piece of file.pieces?.() ?? [file.content]) hash.update(piece);
  const digest = hash.digest();
  const signing = { ...about, timestamp: time === undefined ? 0 : Date.parse(time) / 1000 };
  yield {
    key: signatureKey(file.key),
    get content() {
      return signMinisign(digest, signing, key);
    },
    contentType: TEXT,
    fingerprint: fingerprintOf([key.name, renderMinisignKey(minisignKey(key.publicKey)), signing], digest),
  };
  const { pieces } = file;
  yield {
    key: file.key,
    contentType: file.contentType,
    ...(pieces && { pieces }),
    // Not a copy: that would make it.
    get content() {
      return file.content;
    },
    fingerprint: fingerprintOf([], digest),
  };
}

/** The same for the same signature, or for the same file. */
function fingerprintOf(about: readonly unknown[], digest: Uint8Array): string {
  return createHash('sha256').update(JSON.stringify(about)).update(digest).digest('base64url');
}

function* latestEntries(
  { releases }: ReleaseIndex,
  requiredTargets: readonly string[],
  baseUrl: string | undefined,
): Generator<PublishedFile | PublishedCopy> {
  const latest = CHANNELS.flatMap((channel) => allLatestOf(releases[channel], requiredTargets));
  for (const release of latest) {
    const key = latestKey(release);
    if (key === undefined) continue;
    yield { key, content: renderLatestJson(release.channel, release, baseUrl), contentType: JSON_TYPE };
  }
  for (const release of latest) {
    for (const { target, files } of release.targets) {
      for (const file of files) {
        const key = latestFileKey(release, target, file.name);
        if (key !== undefined) yield { key, source: file.key };
      }
    }
  }
}

/** What Garage's own generator is given: a listing, here without what is hidden. */
function* garageLines(sources: ReleaseSources, listing: string | undefined): Generator<string> {
  if (listing !== undefined) return yield* linesOf(listing);
  const hidden = hiddenVersions(sources);
  for (const file of sources.files) {
    const [version = ''] = file.key.slice(FILES.length).split('/');
    // A key with a newline is several lines there, too.
    if (!hidden.has(version)) yield* linesOf(renderListedFile(file));
  }
}

function tellLeftOut({ files }: ReleaseSources): readonly Notice[] {
  return files
    .filter((file) => isLeftOutByGarage(renderListedFile(file)))
    .map(({ key }) => aboutKey(key, `\`${key}\` has spaces, and \`--compat garage\` leaves it out`));
}
