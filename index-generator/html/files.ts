/** The files of a release: a row each. */

import { formatBytes } from '../../lib/format-bytes.js';
import type { Release, ReleaseFile } from '../../release/catalog/model.js';
import { SUMS, signatureKey, targetSumsKey } from '../../release/layout.js';
import { pathOfKey } from '../links.js';
import { type Content, type Markup, markup } from '../markup.js';
import { comparePlatforms, platformOf } from '../platform.js';
import { fetchedOf, isSha256 } from './command.js';

/** One file, and the triple that it is for. */
export interface FileRow {
  readonly target: string;
  readonly file: ReleaseFile;
}

/** How the files of a release are shown. */
export interface TableOptions {
  /** For the newest release: rows say what commands are made of. An address on the web, without a slash at its end. */
  readonly baseUrl?: string | undefined;
  /** Whether rows lead to signed checksums. */
  readonly hasSignatures: boolean;
}

/** All files of a release, as people look for them. */
export function rowsOf({ targets }: Release): readonly FileRow[] {
  return targets
    .toSorted((a, b) => comparePlatforms(a.target, b.target))
    .flatMap(({ target, files }) => files.map((file) => ({ target, file })));
}

/** The table of these files. */
export function filesTable(release: Release, rows: readonly FileRow[], options: TableOptions): Markup {
  const { version } = release;
  return markup`<table class="files">
<caption class="unseen">Files of <bdi>${version}</bdi></caption>
<thead><tr><th scope="col">Platform</th><th scope="col">File</th><th scope="col" class="size">Size</th><th scope="col" class="hash">SHA-256</th>${
    options.hasSignatures ? markup`<th scope="col" class="signature">Signature</th>` : undefined
  }</tr></thead>
<tbody>
${rows.map((row) => tableRow(release, row, options))}</tbody>
</table>`;
}

/** What it lacks that others have, or that it should have. */
export function missing({ missingTargets }: Release): Markup | undefined {
  if (missingTargets.length === 0) return undefined;
  const names = missingTargets
    .toSorted(comparePlatforms)
    .map((target, index) => [index === 0 ? '' : ', ', platform(target)]);
  return markup`<p class="muted">Not in this release: ${names}</p>
`;
}

function tableRow(release: Release, { target, file }: FileRow, { baseUrl, hasSignatures }: TableOptions): Markup {
  const path = pathOfKey(file.key);
  const link = path === undefined ? markup`<bdi>${file.name}</bdi>` : fileLink(path, file.name);
  return markup`<tr data-target="${target}"${rowData(target, file, baseUrl, path)}><th scope="row">${platform(target, file.name)}</th><td class="file">${
    release.yanked ? markup`<s>${link}</s>` : link
  }</td><td class="size">${formatBytes(file.size)}</td><td class="hash">${hash(file, target)}</td>${
    hasSignatures ? markup`<td class="signature">${signature(release, target)}</td>` : undefined
  }</tr>
`;
}

function fileLink(path: string, name: string): Markup {
  return markup`<a href="./${path}"><bdi>${name}</bdi></a>`;
}

/** For scripts. */
function rowData(target: string, file: ReleaseFile, baseUrl: string | undefined, path: string | undefined): Content {
  if (baseUrl === undefined || path === undefined) return undefined;
  const { name, url, sha256 } = fetchedOf(file, `${baseUrl}/${path}`);
  const { system, label } = platformOf(target);
  return markup` data-system="${system}" data-label="${label}" data-name="${name}" data-url="${url}"${
    sha256 === undefined ? undefined : markup` data-sha256="${sha256}"`
  }`;
}

/** In short, but whole for who copies it, or searches the page. */
function hash({ name, sha256 }: ReleaseFile, target: string): Markup {
  if (!isSha256(sha256)) return markup`<span class="muted">not known</span>`;
  return markup`<code class="short" data-copy="the SHA-256 of ${name}, ${target}">${sha256}</code>`;
}

/** Of the checksums of all files for this platform. */
function signature({ version }: Release, target: string): Markup | undefined {
  const key = targetSumsKey(version, target);
  if (key === undefined) return undefined;
  return markup`<a href="./${key}">${SUMS}</a> <a href="./${signatureKey(key)}" aria-label="${signatureKey(SUMS)} of ${target}">.minisig</a>`;
}

/** With its triple, where no name beside it has that. */
function platform(target: string, beside = ''): Markup {
  const { label } = platformOf(target);
  if (label === target) return markup`<bdi>${target}</bdi>`;
  const name = markup`<span class="platform">${label}</span>`;
  if (beside.includes(target)) return name;
  return markup`${name} <span class="triple"><bdi>${target}</bdi></span>`;
}
