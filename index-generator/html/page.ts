/** The page of all releases. */

import { latestOf } from '../../release/catalog/latest.js';
import type { Release, ReleaseIndex } from '../../release/catalog/model.js';
import { FEED, GARAGE_JSON, INDEX_JSON, STABLE_FEED, signatureKey } from '../../release/layout.js';
import type { Channel } from '../../release/version.js';
import { type Forge, webAddress } from '../links.js';
import { type Content, type Markup, markup, markupOf } from '../markup.js';
import { renderDocument } from './document.js';
import type { ReleaseOptions } from './origin.js';
import { anySigned, newestRelease, otherRelease, type Room, roomOf } from './release.js';
import { releaseStyle } from './release-style.js';
import { script } from './scripts/script.js';
import { style } from './style.js';
import { type Theme, useTheme } from './theme.js';

/** What the page shows beside the releases. */
export interface PageOptions {
  /** The page's heading; "Releases" without one. */
  readonly title?: string;
  /** Where the bucket is served: commands and feeds need it. Links are relative to the page. */
  readonly baseUrl?: string;
  /** Where the sources are. */
  readonly forge?: Forge;
  /** How many releases of a channel are shown: 100 without it. */
  readonly limit?: number;
  /** A release that lacks one of these is not the newest. */
  readonly requiredTargets?: readonly string[];
  /** The public key, as `minisign -P` takes it, when the index and the checksums are signed. */
  readonly minisignKey?: string;
  readonly theme?: Theme;
  /** A picture, as a `data:` URL. */
  readonly logo?: string;
}

interface ShownOptions extends PageOptions, ReleaseOptions {
  readonly room: Room;
}

const mark = markup`<meta name="generator" content="carport release page">`;

/** Whether bytes are a page of releases: its mark is in no other. */
export function isReleasePage(bytes: Buffer): boolean {
  return bytes.includes(markupOf(mark));
}

/** The page of all releases. The same index gives the same text; it belongs to the top of the bucket. */
export function renderPage(index: ReleaseIndex, options: PageOptions = {}): string {
  const title = options.title ?? 'Releases';
  // Where nobody signs, it is nothing to tell of one release.
  const shown = { ...options, tellsUnsigned: anySigned(index), room: roomOf() };
  return renderDocument({
    ...{ title, mark, script },
    style: markup`${style}${releaseStyle}${useTheme(options.theme).style}`,
    head: feeds(options).map(
      ({ key, name }) => markup`<link rel="alternate" type="application/atom+xml" title="${name}" href="${key}">\n`,
    ),
    body: markup`<a class="skip" href="#releases">Skip to the releases</a>
<header>
<h1>${logo(options)}<bdi>${title}</bdi></h1>
<nav aria-label="Channels">
<ul>
${SECTIONS.map(({ channel, name }) => markup`<li><a href="#${channel}">${name}</a></li>\n`)}${project(options)}</ul>
</nav>
</header>
<main id="releases">
${stableSection(index.releases.stable, shown)}
${foldedSection(EXTRA, index.releases.extra, shown)}
${foldedSection(DEVELOPMENT, index.releases.development, shown)}
</main>
<footer>
${signedBy(options)}<p>All releases for programs:</p>
<ul class="links">${views(options).map(({ key, name }) => markup`<li><a href="${key}">${name}</a></li>`)}</ul>
</footer>`,
  });
}

/** Beside the name of the project, which says the same: nothing to read aloud. */
function logo({ logo: picture }: PageOptions): Content {
  return picture?.startsWith('data:image/') ? markup`<img class="logo" src="${picture}" alt="">` : undefined;
}

function project({ forge }: PageOptions): Content {
  const address = forge && webAddress(forge.url);
  return address && markup`<li><a href="${address}">Project</a></li>\n`;
}

const FEEDS = [
  { key: STABLE_FEED, name: 'Feed of stable releases' },
  { key: FEED, name: 'Feed of all releases' },
];

/** Where there is no address there are no feeds. */
function feeds({ baseUrl }: PageOptions): typeof FEEDS {
  return baseUrl === undefined ? [] : FEEDS;
}

/** The other files of the index. */
function views(options: PageOptions): readonly { readonly key: string; readonly name: string }[] {
  const signature = signatureKey(INDEX_JSON);
  return [
    { key: INDEX_JSON, name: 'index.json' },
    ...(options.minisignKey === undefined ? [] : [{ key: signature, name: signatureKey('index.json') }]),
    { key: GARAGE_JSON, name: GARAGE_JSON },
    ...feeds(options),
  ];
}

function signedBy({ minisignKey }: PageOptions): Markup | undefined {
  if (minisignKey === undefined) return undefined;
  return markup`<p>Checksums and index are signed, for <code>minisign</code>, by the key <code>${minisignKey}</code></p>
`;
}

interface Section {
  readonly channel: Channel;
  readonly name: string;
  readonly description: string;
}

const STABLE: Section = { channel: 'stable', name: 'Stable releases', description: 'Tested versions, for everybody.' };
const EXTRA: Section = {
  channel: 'extra',
  name: 'Extra builds',
  description: 'Other tags: candidates for a release, tests, variants.',
};
const DEVELOPMENT: Section = {
  channel: 'development',
  name: 'Development builds',
  description: 'Commits as they were built. Any of them may be broken.',
};
const SECTIONS = [STABLE, EXTRA, DEVELOPMENT];

/** The newest one that can be used, to which `releases/latest/` leads, is first and large, with commands. */
function stableSection(releases: readonly Release[], options: ShownOptions): Markup {
  const newest = latestOf(releases, options.requiredTargets);
  const others = releases.filter((release) => release !== newest);
  return section(STABLE, [
    releases.length === 0 ? markup`<p>There is no stable release yet.</p>` : undefined,
    newest && newestRelease(newest, options),
    others.length > 0 && newest ? markup`<p class="muted others">Other stable releases</p>\n` : undefined,
    articles(others, options, newest === undefined ? 0 : 1),
  ]);
}

function foldedSection(about: Section, releases: readonly Release[], options: ShownOptions): Markup {
  const builds = `${count(releases.length)} ${about.channel} ${releases.length === 1 ? 'build' : 'builds'}`;
  return section(about, [
    releases.length === 0
      ? markup`<p>There is no ${about.channel} build.</p>`
      : markup`<details class="channel">
<summary>Show ${builds}</summary>
${articles(releases, options, 0)}
</details>`,
  ]);
}

function section({ channel, name, description }: Section, content: readonly Content[]): Markup {
  return markup`<section id="${channel}" aria-labelledby="${channel}-name">
<div class="heading"><h2 id="${channel}-name">${name}</h2> <p class="muted">${description}</p></div>
${content}
</section>`;
}

/** As many as the limit leaves, and how many that leaves out. */
function articles(releases: readonly Release[], options: ShownOptions, shownBefore: number): Markup {
  const shown = releases.slice(0, Math.max(0, (options.limit ?? 100) - shownBefore));
  const rest = releases.length - shown.length;
  return markup`${shown.map((release) => otherRelease(release, options, options.room))}${
    rest === 0
      ? undefined
      : markup`<p>${count(rest)} older ${rest === 1 ? 'one is' : 'ones are'} not shown here. All are in
<a href="${INDEX_JSON}">index.json</a>.</p>`
  }`;
}

function count(amount: number): string {
  return amount.toLocaleString('en-US');
}
