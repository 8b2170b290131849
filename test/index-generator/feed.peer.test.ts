import { describe, expect, it } from 'vitest';
import { renderFeed } from '#index-generator/feed.js';
import { allReleases, type Release } from '#release/catalog/model.js';
import { describeWithChromium, useChromium } from '../support/chromium.js';
import { fullIndex, HOSTILE_NAMES, releaseOf, SHA256, TARGETS, targetOf } from './html-samples.js';

const BASE_URL = 'https://x.example/y/';
const CONTROLS = Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(code)).join('');
const OPTIONS = { key: 'releases/all.atom', title: 'Garage & <b>others</b>', baseUrl: BASE_URL };

describe('A feed', () => {
  const ids = (feed: string) => Array.from(feed.matchAll(/<id>([^<]*)<\/id>/g), ([, id]) => id);
  const titles = (feed: string) => Array.from(feed.matchAll(/<title>([^<]*)<\/title>/g), ([, title]) => title);
  const at = (version: string, time: string, more: Partial<Release> = {}) =>
    releaseOf(version, 'stable', TARGETS, { time, ...more });

  it('has what was published or yanked last first', () => {
    const yanked = { reason: 'broken', time: '2026-05-01T00:00:00Z' };
    const releases = [
      at('v2.0.0', '2026-03-01T00:00:00Z'),
      at('v1.1.0', '2026-04-01T00:00:00Z'),
      at('v1.0.0', '2026-01-01T00:00:00Z', { yanked, changed: yanked.time }),
    ];
    const feed = renderFeed(releases, OPTIONS);
    expect(titles(feed).slice(1)).toEqual(['v1.0.0 (yanked)', 'v1.1.0', 'v2.0.0']);
    expect(feed).toContain('<published>2026-01-01T00:00:00Z</published>\n<updated>2026-05-01T00:00:00Z</updated>');
    expect(/<updated>([^<]*)</.exec(feed)?.[1]).toBe(yanked.time);
    expect(renderFeed([...releases].reverse(), OPTIONS)).toBe(feed);
  });

  it('has the newest fifty', () => {
    const releases = Array.from({ length: 60 }, (_, index) => at(`v1.${index}.0`, '2026-03-01T00:00:00Z'));
    const shown = titles(renderFeed(releases, OPTIONS)).slice(1);
    expect([shown.length, shown[0], shown.at(-1)]).toEqual([50, 'v1.59.0', 'v1.10.0']);
  });

  it('calls a release the same for ever, and each site its own', () => {
    const before = renderFeed([at('v1.0.0', '2026-03-01T00:00:00Z')], OPTIONS);
    const after = renderFeed([at('v1.0.0', '2027-03-01T00:00:00Z'), at('v0.9.0', '2026-03-01T00:00:00Z')], {
      ...OPTIONS,
      title: 'Other',
    });
    expect(ids(after).slice(0, 2)).toEqual(ids(before));
    expect(new Set(ids(after)).size).toBe(3);
    for (const id of ids(after))
      expect(id).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const idsAt = (baseUrl: string) => ids(renderFeed([at('v1.0.0', '2026-03-01T00:00:00Z')], { ...OPTIONS, baseUrl }));
    for (const other of ['https://z.example/y/', 'https://x.example/', 'https://x.example:8443/y/'])
      expect(idsAt(other).filter((id) => ids(before).includes(id))).toEqual([]);
    expect(idsAt('http://x.example/y/')).toEqual(ids(before));
  });
});

describeWithChromium('A feed in a parser of XML', () => {
  const open = useChromium();
  const parse = async (feed: string) => {
    const page = await open('about:blank', { width: 1440, scheme: 'light', scripts: true });
    return page.evaluate<{
      error: string | null;
      feed: Node[];
      entries: { nodes: Node[]; tags: string[]; text: string }[];
    }>(`(() => {
      const parsed = new DOMParser().parseFromString(${JSON.stringify(feed)}, 'application/xml');
      const nodes = (element) => Array.from(element.children, (child) => ({
        name: child.localName, space: child.namespaceURI, text: child.localName === 'entry' ? '' : child.textContent,
        attributes: Object.fromEntries(Array.from(child.attributes, ({ name, value }) => [name, value])),
      }));
      const entries = Array.from(parsed.getElementsByTagName('entry'), (entry) => {
        const content = new DOMParser().parseFromString(entry.querySelector('content').textContent, 'text/html').body;
        const tags = [...new Set(Array.from(content.querySelectorAll('*'), (each) => [
          each.localName, ...Array.from(each.attributes, ({ name, value }) => name + '=' + value.slice(0, 20)),
        ].join(' ')))];
        return { nodes: nodes(entry), tags, text: content.textContent };
      });
      return { error: parsed.querySelector('parsererror')?.textContent ?? null, feed: nodes(parsed.documentElement), entries };
    })()`);
  };
  interface Node {
    readonly name: string;
    readonly space: string;
    readonly text: string;
    readonly attributes: Readonly<Record<string, string>>;
  }

  it('is Atom, with all that Atom asks for', async () => {
    const { error, feed, entries } = await parse(renderFeed(allReleases(fullIndex()), OPTIONS));
    expect(error).toBeNull();
    expect(new Set(feed.map(({ space }) => space))).toEqual(new Set(['http://www.w3.org/2005/Atom']));
    expect(feed.map(({ name }) => name).slice(0, 6)).toEqual(['id', 'title', 'updated', 'author', 'link', 'link']);
    expect(feed[1]!.text).toBe(OPTIONS.title);
    expect(feed.slice(4, 6).map(({ attributes }) => attributes)).toEqual([
      { rel: 'self', type: 'application/atom+xml', href: `${BASE_URL}releases/all.atom` },
      { rel: 'alternate', type: 'text/html', href: `${BASE_URL}_releases.html` },
    ]);
    expect(entries).toHaveLength(4 + HOSTILE_NAMES.length);
    for (const { nodes } of entries) {
      const names = ['id', 'title', 'published', 'updated', 'category', 'link', 'content'];
      expect(nodes.map(({ name }) => name)).toEqual(names);
      expect(nodes.at(-1)!.attributes).toEqual({ type: 'html' });
    }
    const newest = entries.find(({ nodes }) => nodes[1]!.text === 'v2.0.0')!;
    expect(newest.text).toContain(`linux/amd64: garage, 21.3 MiB, SHA-256 ${SHA256}`);
    const yanked = entries.find(({ nodes }) => nodes[1]!.text === 'v2.1.0 (yanked)')!;
    expect(yanked.text).toContain('Yanked, do not use it: Loses data: <b>see</b> #12 & "others"');
  });

  it('shows hostile text as text', async () => {
    const names = [...HOSTILE_NAMES, ']]>', '<![CDATA[', '&amp;&#x3c;', `a${CONTROLS}b\u{7f}\u{85}\ud800\ufffe`];
    const releases = names.map((name) =>
      releaseOf(name, 'extra', [], {
        targets: [targetOf(name, name, { name })],
        yanked: { reason: name, time: '2026-05-01T00:00:00Z' },
      }),
    );
    const { error, entries } = await parse(renderFeed(releases, { ...OPTIONS, title: names.join() }));
    expect(error).toBeNull();
    const clean = (text: string) =>
      text.replace(/[\0-\u{8}\v\f\u{e}-\u{1f}\u{7f}-\u{9f}\p{Cs}\p{Noncharacter_Code_Point}]/gu, '\u{fffd}');
    const shown = new Set(entries.map(({ nodes }) => nodes[1]!.text));
    expect([...shown].sort()).toEqual(names.map((name) => `${clean(name)} (yanked)`).sort());
    for (const { tags } of entries) {
      const allowed = ['p', 'strong', 'ul', 'li', `a href=${BASE_URL}`, 'code'];
      expect(tags.filter((tag) => !allowed.includes(tag))).toEqual([]);
    }
  });

  it('has no entries without releases', async () => {
    const { error, entries } = await parse(renderFeed([], OPTIONS));
    expect([error, entries]).toEqual([null, []]);
  });
});
