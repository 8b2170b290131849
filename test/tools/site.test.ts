import { describe, expect, it } from 'vitest';
import { siteMistakes } from '../../tools/site/links.js';
import { anchors, anchorsOf, sectionsOf } from '../../tools/site/outline.js';
import { linkedFiles, navigationOf, pagesOf, siteLink, urlOf, wayUp } from '../../tools/site/pages.js';

describe('the outline of a page', () => {
  it('names headings as GitHub does', () => {
    const headings = ['# The `_releases.json`', '## Keys & trust', '## A [link](b.md)', '## Keys & trust'];
    expect(anchorsOf(headings.join('\n'))).toEqual(['the-_releasesjson', 'keys--trust', 'a-link', 'keys--trust-1']);
    expect(['A b', 'A b', 'a.b'].map(anchors())).toEqual(['a-b', 'a-b-1', 'ab']);
  });

  it('takes no heading from code, and has the text below each', () => {
    const markdown =
      '# One\n\nSee `a` and **b**.\n\n```sh\n# no heading\n```\n\n| x | y |\n| --- | --- |\n## Two\n* c\n';
    expect(sectionsOf(markdown).map(({ level, heading, text }) => [level, heading, text])).toEqual([
      [1, 'One', 'See a and b. # no heading x y'],
      [2, 'Two', 'c'],
    ]);
  });
});

describe('the pages of the site', () => {
  const files = [
    { path: 'docs/README.md', text: '# Start\n\n## CI\n\n* [Keys](keys.md): x\n* [Why](decisions/README.md#top): y\n' },
    { path: 'docs/keys.md', text: '# `Keys`\n\n[a](../samples/a.yml), [b](https://example.org/), [c](#keys)\n' },
  ];

  it('are where their files are', () => {
    expect(
      ['docs/README.md', 'docs/a.md', 'docs/decisions/README.md', 'README.md', 'samples/.ci/a.yml'].map(urlOf),
    ).toEqual([...['index.html', 'a.html', 'decisions/index.html', 'readme.html', 'samples/.ci/a.yml.html']]);
    expect(['index.html', 'samples/.ci/a.yml.html'].map(wayUp)).toEqual(['', '../../']);
  });

  it('have links from one to another, wherever the site is', () => {
    expect(siteLink('docs/keys.md', '../samples/a.yml')).toBe('samples/a.yml.html');
    expect(siteLink('docs/decisions/README.md', '../keys.md#one')).toBe('../keys.html#one');
    expect(siteLink('docs/keys.md', '../samples/direnv/')).toBe('samples/direnv.html');
    expect(siteLink('docs/performance.md', 'performance.svg')).toBe('performance.svg');
    expect(['#x', 'https://example.org/a.md'].map((link) => siteLink('docs/a.md', link))).toEqual([
      ...['#x', 'https://example.org/a.md'],
    ]);
  });

  it('have those that others link to, also what is no Markdown', () => {
    const all = linkedFiles(files, (path) => (path.endsWith('.yml') ? 'a: ```\n' : '# Other\n'));
    expect(pagesOf(all).map(({ url, title }) => [url, title])).toEqual([
      ['index.html', 'Start'],
      ['decisions/index.html', 'Other'],
      ['keys.html', 'Keys'],
      ['samples/a.yml.html', 'samples/a.yml'],
    ]);
    expect(pagesOf(all).at(-1)!.markdown).toBe('# samples/a.yml\n\n````text\na: ```\n````\n');
  });

  it('are found in the navigation', () => {
    expect(navigationOf(files)).toEqual([
      {
        title: 'CI',
        entries: [
          { title: 'Keys', url: 'keys.html' },
          { title: 'Why', url: 'decisions/index.html#top' },
        ],
      },
    ]);
  });
});

describe('the check of the site', () => {
  it('finds what leads nowhere, and what is loaded from elsewhere', () => {
    const page = (body: string) =>
      new Map([
        ['a/page.html', body],
        ['b.html', '<h1 id="x">'],
        ['b.css', ''],
      ]);
    const mistakes = (body: string) => siteMistakes(page(body)).length;
    const good = '<link href="../b.css"><a href="../b.html#x"><p id="y"><a href="#y"><a href="https://example.org/">';
    expect(siteMistakes(page(good))).toEqual([]);
    const bad = [
      '<a href="b.html">',
      '<a href="../b.html#y">',
      '<a href="#z">',
      '<a href="/b.html">',
      '<a href="../">',
    ];
    expect(bad.map(mistakes)).toEqual([1, 1, 1, 1, 1]);
    expect(mistakes('<script src="https://example.org/x.js">')).toBe(1);
    expect(mistakes('<p id="x"><p id="x">')).toBe(1);
  });
});
