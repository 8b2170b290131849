/** Where a release is from, and why somebody might not want it. */

import type { Release } from '../../release/catalog/model.js';
import { SUMS, signatureKey, sumsKey } from '../../release/layout.js';
import { hasSums } from '../checksums.js';
import { commitLink, type Forge, sourceLinks, webAddress } from '../links.js';
import { type Markup, markup } from '../markup.js';

/** What a release's part of the page needs to know of the whole. */
export interface ReleaseOptions {
  readonly baseUrl?: string;
  readonly forge?: Forge;
  readonly minisignKey?: string;
  /** Whether to say of a release that nobody has signed it. */
  readonly tellsUnsigned: boolean;
}

/** Why somebody might not want it. */
export function doubts({ incomplete, signed, yanked }: Release, { tellsUnsigned }: ReleaseOptions): Markup {
  return markup`${
    yanked &&
    markup`<p><strong>Yanked, do not use it:</strong> <bdi>${yanked.reason}</bdi></p>
`
  }${
    incomplete &&
    markup`<p><strong>Incomplete:</strong> files that were signed are missing, or are not what was signed.</p>
`
  }${
    tellsUnsigned && signed === undefined
      ? markup`<p><strong>Not signed:</strong> others are, and nobody knows who put this one here.</p>
`
      : undefined
  }`;
}

/** When it was published; nothing where that is no time. */
export function published({ time }: Release): Markup | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(time)) return undefined;
  return markup`<time datetime="${time}">${time.slice(0, 10)}</time>`;
}

/** Where its sources and its checksums are. */
export function links(release: Release, { forge, minisignKey }: ReleaseOptions): readonly Markup[] {
  const { version, channel, component, commit, ci, promotedFrom } = release;
  const ofCommit = commitOf(release);
  // What was promoted, or put by hand, may be a tag here alone; a component's tag may have a slash.
  const isTag =
    channel !== 'development' &&
    !(component !== undefined && commit !== undefined) &&
    (commit === undefined || !(promotedFrom || ci?.system === 'none'));
  const sources = forge && sourceLinks(forge, isTag ? version : (ofCommit ?? version), isTag ? 'tag' : 'commit');
  const sums = sumsPath(release);
  return [
    sources && markup`<a href="${sources.browse}">Sources</a>`,
    sources && markup`<a href="${sources.archive}">Sources as .tar.gz</a>`,
    sums === undefined ? undefined : markup`<a href="./${sums}">${SUMS}</a>`,
    sums === undefined || minisignKey === undefined
      ? undefined
      : markup`<a href="./${signatureKey(sums)}">${signatureKey(SUMS)}</a>`,
  ].filter((link) => link !== undefined);
}

/** A version that has sums can stand in a URL and a command as it is. */
export function sumsPath(release: Release): string | undefined {
  return hasSums(release) ? sumsKey(release.version) : undefined;
}

/** Of what it was made, by what, and what was found before it was promoted; nothing where nothing is known. */
export function origin(release: Release, { forge }: ReleaseOptions): Markup | undefined {
  const { ci, promotedFrom } = release;
  const commit = commitOf(release);
  const page = forge && commit !== undefined ? commitLink(forge, commit) : undefined;
  const run = ci?.runUrl ? webAddress(ci.runUrl) : undefined;
  if (commit === undefined && run === undefined && !promotedFrom) return undefined;
  return markup`<details class="origin">
<summary>Where it is from</summary>
${commit && markup`<p>Commit ${page === undefined ? markup`<code>${commit}</code>` : markup`<a href="${page}"><code>${commit}</code></a>`}</p>\n`}${
  run && markup`<p><a href="${run}">Build</a> that published it</p>\n`
}${promotion(release)}</details>
`;
}

function commitOf({ channel, commit, version }: Release): string | undefined {
  return commit ?? (channel === 'development' ? version : undefined);
}

function promotion({ promotedFrom }: Release): Markup | undefined {
  if (!promotedFrom) return undefined;
  const { version, gates } = promotedFrom;
  return markup`<p>The same as <bdi>${version}</bdi>, from which it was promoted${
    gates.length === 0 ? '.' : ` after ${gates.length === 1 ? 'a check' : `${gates.length} checks`}:`
  }</p>
${
  gates.length === 0
    ? undefined
    : markup`<ul>${gates.map(({ gate, detail }) => markup`<li><bdi>${gate}</bdi>: <bdi>${detail}</bdi></li>`)}</ul>
`
}`;
}
