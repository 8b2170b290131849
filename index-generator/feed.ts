/** Atom feeds. */

import { createHash } from 'node:crypto';
import { formatBytes } from '../lib/format-bytes.js';
import type { Release, ReleaseFile } from '../release/catalog/model.js';
import { compareText, compareVersions } from '../release/catalog/version-order.js';
import { PAGE } from '../release/layout.js';
import { anchorOf } from './html/anchor.js';
import { pathOfKey } from './links.js';
import { type Markup, markup, markupOf } from './markup.js';
import { parseNotes } from './notes/markdown.js';
import { platformName } from './platform.js';

export interface FeedOptions {
  /** Where in the bucket the feed is. */
  readonly key: string;
  readonly title: string;
  /** Where the bucket is served, with a `/` at the end. */
  readonly baseUrl: string;
}

/** Of releases; readers ask again and again. */
const MAX_ENTRIES = 50;

/** Characters of the notes of all entries together. */
const MAX_NOTES = 200_000;

/** A feed must tell a time also when there is nothing in it. */
const NEVER = '1970-01-01T00:00:00Z';

/**
 * An Atom feed of the releases that were published or yanked last. The templates of the page are right for XML, too: what
 * they escape is what XML escapes, and what XML cannot hold HTML cannot hold either.
 */
export function renderFeed(releases: readonly Release[], { key, title, baseUrl }: FeedOptions): string {
  const newest = [...releases]
    .sort((a, b) => compareText(b.changed, a.changed) || compareVersions(b.version, a.version))
    .slice(0, MAX_ENTRIES);
  return markupOf(markup`<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>${feedId('feed', baseUrl, key)}</id>
<title>${title}</title>
<updated>${newest[0]?.changed ?? NEVER}</updated>
<author><name>${title}</name></author>
${atomLink('self', 'application/atom+xml', baseUrl, key)}${atomLink('alternate', 'text/html', baseUrl, PAGE)}${entries(newest, baseUrl)}</feed>
`);
}

/** Notes of the first entries, so that a feed is read in one go however long they are. */
function entries(releases: readonly Release[], baseUrl: string): readonly Markup[] {
  let room = MAX_NOTES;
  return releases.map((release) => {
    room -= release.notes?.length ?? 0;
    return entry(room < 0 ? { ...release, notes: undefined } : release, baseUrl);
  });
}

type Entry = Omit<Release, 'notes'> & { readonly notes?: string | undefined };

function entry(release: Entry, baseUrl: string): Markup {
  const { version, channel, time, changed, yanked } = release;
  const anchor = anchorOf(version);
  return markup`<entry>
<id>${feedId('release', baseUrl, version)}</id>
<title>${version}${yanked && ' (yanked)'}</title>
<published>${time}</published>
<updated>${changed}</updated>
<category term="${channel}"/>
${atomLink('alternate', 'text/html', baseUrl, anchor === undefined ? PAGE : `${PAGE}#${anchor}`)}<content type="html">${markupOf(content(release, baseUrl))}</content>
</entry>
`;
}

function content({ yanked, targets, notes }: Entry, baseUrl: string): Markup {
  const said = notes === undefined ? undefined : parseNotes(notes).render(2);
  return markup`${yanked && markup`<p><strong>Yanked, do not use it:</strong> ${yanked.reason}</p>`}${said}<ul>${targets.flatMap(
    ({ target, files }) =>
      files.map(
        (file) =>
          markup`<li>${platformName(target)}: ${link(file, baseUrl)}, ${formatBytes(file.size)}${
            file.sha256 === undefined ? undefined : markup`, SHA-256 <code>${file.sha256}</code>`
          }</li>`,
      ),
  )}</ul>`;
}

function link({ name, key }: ReleaseFile, baseUrl: string): Markup {
  const path = pathOfKey(key);
  return path === undefined ? markup`${name}` : markup`<a href="${baseUrl}${path}">${name}</a>`;
}

function atomLink(rel: 'self' | 'alternate', type: string, baseUrl: string, key: string): Markup {
  return markup`<link rel="${rel}" type="${type}" href="${baseUrl}${key}"/>\n`;
}

/** Names that never change, as readers know by them what they have seen; also not where TLS is added to a site. */
function feedId(kind: 'feed' | 'release', baseUrl: string, name: string): string {
  const { host, pathname } = new URL(baseUrl);
  const hash = createHash('sha256')
    .update([kind, host + pathname, name].join('\n'))
    .digest();
  // A UUID of version 8, whose bits are its maker's own.
  hash[6] = (hash[6]! & 0x0f) | 0x80;
  hash[8] = (hash[8]! & 0x3f) | 0x80;
  const hex = hash.toString('hex', 0, 16);
  return `urn:uuid:${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
