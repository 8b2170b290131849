import { signatureKey, sumsKey } from '../keys.js';
import type { Release, ReleaseFile, ReleaseTarget } from '../model.js';
import { hasSums } from '../sums.js';
import { fetchCommand, isSha256, verifyCommand } from './command.js';
import { commitLink, type Forge, pathOfKey, sourceLinks, webAddress } from './links.js';
import { comparePlatforms, platformName } from './platform.js';
import { formatSize } from './size.js';
import { type Html, html } from './template.js';

/** What a release's part of the page needs to know of the whole. */
export interface ReleaseOptions {
  readonly baseUrl?: string;
  readonly forge?: Forge;
  readonly minisignKey?: string;
}

/** One release: its version, where its sources are, and a row for each platform. The newest has commands, too. */
export function releaseArticle(release: Release, options: ReleaseOptions, { newest }: { newest: boolean }): Html {
  const { version, yanked } = release;
  const baseUrl = newest && options.baseUrl !== undefined ? webAddress(options.baseUrl) : undefined;
  const name = html`<bdi>${version}</bdi>`;
  return html`<article${yanked && html` class="yanked"`} data-release>
<h3>${yanked ? html`<s>${name}</s> (yanked)` : name}</h3>
${yanked && html`<p><strong>Yanked, do not use it:</strong> <bdi>${yanked.reason}</bdi></p>`}
${about(release, options, newest)}${promotion(release)}
<table>
<caption>Files of <bdi>${version}</bdi></caption>
<thead><tr><th scope="col">Platform</th><th scope="col">Files</th></tr></thead>
<tbody>
${rows(release, baseUrl)}</tbody>
</table>${newest ? check(release, baseUrl, options) : undefined}
</article>
`;
}

/** When it was made, and of what. */
function about(release: Release, { forge, minisignKey }: ReleaseOptions, newest: boolean): Html {
  const { version, channel, time, commit, ci } = release;
  const made = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(time) ? time : undefined;
  const sources = forge && sourceLinks(forge, version, channel === 'development' ? 'commit' : 'tag');
  const ofCommit = commit ?? (channel === 'development' ? version : undefined);
  const commitPage = forge && ofCommit && commitLink(forge, ofCommit);
  const run = ci?.runUrl ? webAddress(ci.runUrl) : undefined;
  const sums = sumsPath(release);
  const entries = [
    newest ? html`<strong>Newest stable release</strong>` : undefined,
    made && html`<time datetime="${made}">${made.slice(0, 10)}</time>`,
    sources && html`<a href="${sources.browse}">Sources</a>`,
    sources && html`<a href="${sources.archive}">Sources as .tar.gz</a>`,
    commitPage
      ? html`<a href="${commitPage}">Commit <code>${ofCommit?.slice(0, 10)}</code></a>`
      : commit && html`Commit <code>${commit}</code>`,
    run && html`<a href="${run}">Build</a>`,
    sums && html`<a href="./${sums}">SHA256SUMS</a>`,
    sums && minisignKey !== undefined ? html`<a href="./${signatureKey(sums)}">SHA256SUMS.minisig</a>` : undefined,
  ].filter((entry) => entry !== undefined && entry !== '');
  if (entries.length === 0) return html``;
  return html`<ul class="links">${entries.map((entry) => html`<li>${entry}</li>`)}</ul>`;
}

/** A version that has sums can stand in a URL and a command as it is. */
function sumsPath(release: Release): string | undefined {
  return hasSums(release) ? sumsKey(release.version) : undefined;
}

function promotion({ promotedFrom }: Release): Html | undefined {
  if (!promotedFrom) return undefined;
  const { version, gates } = promotedFrom;
  return html`
<p>The same as <bdi>${version}</bdi>, from which it was promoted${
    gates.length === 0 ? '.' : ` after ${gates.length === 1 ? 'a check' : `${gates.length} checks`}:`
  }</p>${
    gates.length === 0
      ? undefined
      : html`
<ul>${gates.map(({ gate, detail }) => html`<li><bdi>${gate}</bdi>: <bdi>${detail}</bdi></li>`)}</ul>`
  }`;
}

/** How to make sure of the checksums. */
function check(release: Release, baseUrl: string | undefined, { minisignKey }: ReleaseOptions): Html | undefined {
  const sums = sumsPath(release);
  if (sums === undefined || minisignKey === undefined) return undefined;
  const command = verifyCommand(minisignKey, baseUrl === undefined ? undefined : `${baseUrl}/${sums}`);
  return html`
<p>To make sure of the checksums (<code>minisign</code> prints the version that was signed, which must be <bdi>${release.version}</bdi>):</p>
<pre data-of="the check of SHA256SUMS"><code>${command}</code></pre>`;
}

/** A row for each platform that it has, and for each that it should have. */
function rows(release: Release, baseUrl: string | undefined): readonly Html[] {
  const byTarget = new Map<string, Html>([
    ...release.missingTargets.map((target): [string, Html] => [
      target,
      html`<span class="muted">Not in this release</span>`,
    ]),
    ...release.targets.map((target): [string, Html] => [target.target, files(release, target, baseUrl)]),
  ]);
  return [...byTarget.keys()]
    .sort(comparePlatforms)
    .map((target) => html`<tr><th scope="row">${platform(target)}</th><td>${byTarget.get(target)}</td></tr>\n`);
}

function platform(target: string): Html {
  const name = platformName(target);
  if (name === target) return html`<bdi>${target}</bdi>`;
  return html`${name} <span class="triple"><bdi>${target}</bdi></span>`;
}

function files(release: Release, target: ReleaseTarget, baseUrl: string | undefined): Html {
  return html`<ul>${target.files.map((file) => html`<li>${oneFile(release, target, file, baseUrl)}</li>`)}</ul>`;
}

function oneFile({ yanked }: Release, { target }: ReleaseTarget, file: ReleaseFile, baseUrl: string | undefined): Html {
  const path = pathOfKey(file.key);
  const link =
    path === undefined ? html`<bdi>${file.name}</bdi>` : html`<a href="./${path}"><bdi>${file.name}</bdi></a>`;
  const command = baseUrl === undefined || path === undefined ? undefined : fetchCommand(file, `${baseUrl}/${path}`);
  return html`${yanked ? html`<s>${link}</s>` : link} <span class="muted">${formatSize(file.size)}</span>${
    isSha256(file.sha256) ? html` <span class="hash">SHA-256 <code>${file.sha256}</code></span>` : undefined
  }${command && html`<pre data-of="${platformName(target)}"><code>${command}</code></pre>`}`;
}
