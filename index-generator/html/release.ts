/** One release: the newest with all that people want of it, every other one in a line that unfolds. */

import { allReleases, type Release, type ReleaseIndex } from '../../release/catalog/model.js';
import { INDEX_JSON } from '../../release/layout.js';
import { webAddress } from '../links.js';
import { type Content, type Markup, markup } from '../markup.js';
import { parseNotes } from '../notes/markdown.js';
import { anchorOf } from './anchor.js';
import { commandsFold } from './commands-fold.js';
import { filesTable, missing, rowsOf } from './files.js';
import { doubts, links, origin, published, type ReleaseOptions, sumsPath } from './origin.js';

/** What is left of the room on a page: releases that come late have less to show. */
export interface Room {
  /** Takes this many rows of tables, or nothing where there are not so many. */
  takeRows(amount: number): boolean;
  /** The same of the characters of notes. */
  takeNotes(amount: number): boolean;
}

/** So that a page has some 2 MB at most, whatever the releases are. The newest release comes first, and has as much again. */
const LIMITS = { rows: 3000, notes: 200_000, newestRows: 1000 } as const;

/** The room of a whole page. */
export function roomOf(): Room {
  return { takeRows: takeFrom(LIMITS.rows), takeNotes: takeFrom(LIMITS.notes) };
}

/** Whether others are signed, so that it is worth a word of one that it is not. */
export function anySigned(index: ReleaseIndex): boolean {
  return allReleases(index).some(({ signed }) => signed !== undefined);
}

/** The newest stable release. */
export function newestRelease(release: Release, options: ReleaseOptions): Markup {
  const { version } = release;
  const baseUrl = options.baseUrl === undefined ? undefined : webAddress(options.baseUrl);
  const rows = rowsOf(release);
  const shown = rows.slice(0, LIMITS.newestRows);
  const hasSignatures = options.minisignKey !== undefined && sumsPath(release) !== undefined;
  return markup`<article class="newest"${idOf(version)} data-release>
<div class="title"><h3><bdi>${version}</bdi></h3> ${published(release)} <span class="badge">Newest stable release</span></div>
${doubts(release, options)}${shortNotes(release)}${filesTable(release, shown, { baseUrl, hasSignatures })}
${shown.length < rows.length ? more(rows.length - shown.length) : undefined}${missing(release)}${linkList(links(release, options))}${commandsFold(
  release,
  shown,
  { baseUrl, minisignKey: options.minisignKey },
)}${origin(release, options)}</article>
`;
}

/** Any other release: its name and its date, and the rest behind that. */
export function otherRelease(release: Release, options: ReleaseOptions, room: Room): Markup {
  const { version, yanked, incomplete } = release;
  const name = markup`<bdi>${version}</bdi>`;
  const rows = rowsOf(release);
  return markup`<article${yanked && markup` class="yanked"`} data-release><details>
<summary><h3>${yanked ? markup`<s>${name}</s> (yanked)` : name}</h3> ${published(release)}${
    incomplete && markup` <span class="badge">incomplete</span>`
  } <span class="muted amount">${rows.length === 1 ? '1 file' : `${rows.length} files`}</span></summary>
<div class="unfolded"${idOf(version)}>
${doubts(release, options)}${wholeNotes(release, room)}${linkList(links(release, options))}${
  room.takeRows(rows.length) ? filesTable(release, rows, { hasSignatures: false }) : more(rows.length)
}
${missing(release)}${origin(release, options)}</div>
</details></article>
`;
}

function takeFrom(limit: number): (amount: number) => boolean {
  let left = limit;
  return (amount) => {
    if (amount > left) return false;
    left -= amount;
    return true;
  };
}

function idOf(version: string): Content {
  const anchor = anchorOf(version);
  return anchor === undefined ? undefined : markup` id="${anchor}"`;
}

function linkList(entries: readonly Markup[]): Content {
  return entries.length === 0
    ? undefined
    : markup`<ul class="links">${entries.map((entry) => markup`<li>${entry}</li>`)}</ul>\n`;
}

function more(files: number): Markup {
  return markup`<p>${files === 1 ? 'One more file is' : `${files.toLocaleString('en-US')} more files are`} in
<a href="${INDEX_JSON}">index.json</a>.</p>`;
}

/** Their first lines, and a fold with the whole where that is more. */
function shortNotes({ notes }: Release): Content {
  if (notes === undefined) return undefined;
  const { lines, isShort, render } = parseNotes(notes);
  if (isShort) return markup`<div class="notes">${render(4)}</div>\n`;
  const short =
    lines.length === 1
      ? markup`<p class="notes">${lines}</p>\n`
      : markup`<ul class="notes">${lines.map((line) => markup`<li>${line}</li>`)}</ul>\n`;
  return markup`${lines.length === 0 ? undefined : short}<details class="all-notes">
<summary>Release notes</summary>
<div class="notes">${render(4)}</div>
</details>
`;
}

function wholeNotes({ notes }: Release, room: Room): Content {
  if (notes === undefined) return undefined;
  if (room.takeNotes(notes.length)) return markup`<div class="notes">${parseNotes(notes).render(4)}</div>\n`;
  return markup`<p class="muted">Its notes are in <a href="${INDEX_JSON}">index.json</a>.</p>\n`;
}
