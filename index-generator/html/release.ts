/** One release: a row for each platform. */

import { formatBytes } from '../../lib/format-bytes.js';
import type { Release, ReleaseFile, ReleaseTarget } from '../../release/catalog/model.js';
import { SUMS, signatureKey, sumsKey } from '../../release/layout.js';
import { hasSums } from '../checksums.js';
import { commitLink, type Forge, pathOfKey, sourceLinks, webAddress } from '../links.js';
import { type Markup, markup } from '../markup.js';
import { comparePlatforms, platformName } from '../platform.js';
import { fetchCommand, isSha256, verifyCommand } from './command.js';

/** What a release's part of the page needs to know of the whole. */
export interface ReleaseOptions {
  readonly baseUrl?: string;
  readonly forge?: Forge;
  readonly minisignKey?: string;
  /** Whether to say of a release that nobody has signed it. */
  readonly tellsUnsigned: boolean;
}

/** One release: its version, where its sources are, and a row for each platform. The newest has commands, too. */
export function releaseArticle(release: Release, options: ReleaseOptions, { newest }: { newest: boolean }): Markup {
  const { version, yanked } = release;
  const baseUrl = newest && options.baseUrl !== undefined ? webAddress(options.baseUrl) : undefined;
  const name = markup`<bdi>${version}</bdi>`;
  return markup`<article${yanked && markup` class="yanked"`} data-release>
<h3>${yanked ? markup`<s>${name}</s> (yanked)` : name}</h3>
${yanked && markup`<p><strong>Yanked, do not use it:</strong> <bdi>${yanked.reason}</bdi></p>`}
${doubts(release, options)}${about(release, options, newest)}${promotion(release)}
<table>
<caption>Files of <bdi>${version}</bdi></caption>
<thead><tr><th scope="col">Platform</th><th scope="col">Files</th></tr></thead>
<tbody>
${rows(release, baseUrl)}</tbody>
</table>${newest ? check(release, baseUrl, options) : undefined}
</article>
`;
}

/** Why somebody might not want it. */
function doubts({ incomplete, signed }: Release, { tellsUnsigned }: ReleaseOptions): Markup {
  return markup`${
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

/** When it was made, and of what. */
function about(release: Release, { forge, minisignKey }: ReleaseOptions, newest: boolean): Markup {
  const { version, channel, component, time, commit, ci, promotedFrom } = release;
  const made = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(time) ? time : undefined;
  const ofCommit = commit ?? (channel === 'development' ? version : undefined);
  // What was promoted, or put by hand, may be a tag here alone; a component's tag may have a slash.
  const isTag =
    channel !== 'development' &&
    !(component !== undefined && commit !== undefined) &&
    (commit === undefined || !(promotedFrom || ci?.system === 'none'));
  const sources = forge && sourceLinks(forge, isTag ? version : (ofCommit ?? version), isTag ? 'tag' : 'commit');
  const commitPage = forge && ofCommit && commitLink(forge, ofCommit);
  const run = ci?.runUrl ? webAddress(ci.runUrl) : undefined;
  const sums = sumsPath(release);
  const entries = [
    newest ? markup`<strong>Newest stable release</strong>` : undefined,
    made && markup`<time datetime="${made}">${made.slice(0, 10)}</time>`,
    sources && markup`<a href="${sources.browse}">Sources</a>`,
    sources && markup`<a href="${sources.archive}">Sources as .tar.gz</a>`,
    commitPage
      ? markup`<a href="${commitPage}">Commit <code>${ofCommit?.slice(0, 10)}</code></a>`
      : commit && markup`Commit <code>${commit}</code>`,
    run && markup`<a href="${run}">Build</a>`,
    sums && markup`<a href="./${sums}">${SUMS}</a>`,
    sums && minisignKey !== undefined ? markup`<a href="./${signatureKey(sums)}">${signatureKey(SUMS)}</a>` : undefined,
  ].filter((entry) => entry !== undefined && entry !== '');
  if (entries.length === 0) return markup``;
  return markup`<ul class="links">${entries.map((entry) => markup`<li>${entry}</li>`)}</ul>`;
}

/** A version that has sums can stand in a URL and a command as it is. */
function sumsPath(release: Release): string | undefined {
  return hasSums(release) ? sumsKey(release.version) : undefined;
}

function promotion({ promotedFrom }: Release): Markup | undefined {
  if (!promotedFrom) return undefined;
  const { version, gates } = promotedFrom;
  return markup`
<p>The same as <bdi>${version}</bdi>, from which it was promoted${
    gates.length === 0 ? '.' : ` after ${gates.length === 1 ? 'a check' : `${gates.length} checks`}:`
  }</p>${
    gates.length === 0
      ? undefined
      : markup`
<ul>${gates.map(({ gate, detail }) => markup`<li><bdi>${gate}</bdi>: <bdi>${detail}</bdi></li>`)}</ul>`
  }`;
}

/** How to make sure of the checksums. */
function check(release: Release, baseUrl: string | undefined, { minisignKey }: ReleaseOptions): Markup | undefined {
  const sums = sumsPath(release);
  if (sums === undefined || minisignKey === undefined) return undefined;
  const command = verifyCommand(minisignKey, baseUrl === undefined ? undefined : `${baseUrl}/${sums}`);
  return markup`
<p>To make sure of the checksums (<code>minisign</code> prints the version that was signed, which must be <bdi>${release.version}</bdi>):</p>
<pre data-of="the check of ${SUMS}"><code>${command}</code></pre>`;
}

/** A row for each platform that it has, and for each that it should have. */
function rows(release: Release, baseUrl: string | undefined): readonly Markup[] {
  const byTarget = new Map<string, Markup>([
    ...release.missingTargets.map((target): [string, Markup] => [
      target,
      markup`<span class="muted">Not in this release</span>`,
    ]),
    ...release.targets.map((target): [string, Markup] => [target.target, files(release, target, baseUrl)]),
  ]);
  return [...byTarget.keys()]
    .sort(comparePlatforms)
    .map((target) => markup`<tr><th scope="row">${platform(target)}</th><td>${byTarget.get(target)}</td></tr>\n`);
}

function platform(target: string): Markup {
  const name = platformName(target);
  if (name === target) return markup`<bdi>${target}</bdi>`;
  return markup`${name} <span class="triple"><bdi>${target}</bdi></span>`;
}

function files(release: Release, target: ReleaseTarget, baseUrl: string | undefined): Markup {
  return markup`<ul>${target.files.map((file) => markup`<li>${oneFile(release, target, file, baseUrl)}</li>`)}</ul>`;
}

function oneFile(
  { yanked }: Release,
  { target }: ReleaseTarget,
  file: ReleaseFile,
  baseUrl: string | undefined,
): Markup {
  const path = pathOfKey(file.key);
  const link =
    path === undefined ? markup`<bdi>${file.name}</bdi>` : markup`<a href="./${path}"><bdi>${file.name}</bdi></a>`;
  const command = baseUrl === undefined || path === undefined ? undefined : fetchCommand(file, `${baseUrl}/${path}`);
  return markup`${yanked ? markup`<s>${link}</s>` : link} <span class="muted">${formatBytes(file.size)}</span>${
    isSha256(file.sha256) ? markup` <span class="hash">SHA-256 <code>${file.sha256}</code></span>` : undefined
  }${command && markup`<pre data-of="${file.name}, ${target}"><code>${command}</code></pre>`}`;
}
