/** The pages of the site: which files they are made of, and where they are. */

import { posix } from 'node:path';

export interface SourceFile {
  /** From the top of the repository, with `/`. */
  readonly path: string;
  readonly text: string;
}

export interface SitePage {
  readonly source: string;
  /** From the top of the site. */
  readonly url: string;
  readonly title: string;
  readonly markdown: string;
}

const START = 'docs/README.md';

/** Where the page of a file is. Files of `docs/` are at the top, and all others below the folder that they are in. */
export function urlOf(source: string): string {
  const path = source.replace(/^docs\//, '');
  if (source === 'README.md') return 'readme.html';
  if (path.endsWith('README.md')) return path.replace(/README\.md$/, 'index.html');
  return path.endsWith('.md') ? path.replace(/\.md$/, '.html') : `${path}.html`;
}

/** A page for each file. What is not Markdown is shown as it is. */
export function pagesOf(files: readonly SourceFile[]): readonly SitePage[] {
  return files.map(({ path, text }) => {
    const markdown = path.endsWith('.md') ? text : `# ${path}\n\n${fenced(text)}`;
    const title = /^# (.*)$/m.exec(markdown)?.[1]?.replaceAll('`', '') ?? path;
    return { source: path, url: urlOf(path), title, markdown };
  });
}

/** The files outside of `docs/` that pages link to, directly or through others; `read` gives the text of each. */
export function linkedFiles(files: readonly SourceFile[], read: (path: string) => string): readonly SourceFile[] {
  const found = new Map(files.map((file) => [file.path, file]));
  const queue = [...files];
  for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
    if (!file.path.endsWith('.md')) continue;
    for (const link of linksIn(file.text)) {
      const path = targetOf(file.path, link);
      if (path === undefined || found.has(path) || IMAGE.test(path)) continue;
      const linked = { path, text: read(path) };
      found.set(path, linked);
      queue.push(linked);
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** The link of a page to a file of the repository, as a link of the site. Others stay as they are. */
export function siteLink(from: string, link: string): string {
  const path = targetOf(from, link);
  if (path === undefined) return link;
  const url = IMAGE.test(path) ? path.replace(/^docs\//, '') : urlOf(path);
  const hash = link.includes('#') ? link.slice(link.indexOf('#')) : '';
  return `${posix.relative(posix.dirname(urlOf(from)), url)}${hash}`;
}

/** From a page to the top of the site: empty, or `../` and so on. */
export function wayUp(url: string): string {
  return '../'.repeat(url.split('/').length - 1);
}

export interface NavigationGroup {
  readonly title: string;
  readonly entries: readonly { readonly title: string; readonly url: string }[];
}

/** The lists of docs/README.md, one below each heading. */
export function navigationOf(files: readonly SourceFile[]): readonly NavigationGroup[] {
  const start = files.find(({ path }) => path === START)!;
  const groups = start.text.split(/^## /m).slice(1);
  return groups.map((group) => ({
    title: group.slice(0, group.indexOf('\n')),
    entries: [...group.matchAll(/^\* \[([^\]]+)\]\(([^)]+)\)/gm)].map(([, title, link]) => ({
      ...{ title: title!.replaceAll('`', ''), url: siteLink(START, link!) },
    })),
  }));
}

const IMAGE = /\.(svg|png)$/;

/** What a relative link leads to; `undefined` for another site, and for a place on the same page. */
function targetOf(from: string, link: string): string | undefined {
  const [path = ''] = link.split('#');
  if (path === '' || /^[a-z]+:/.test(path)) return undefined;
  return posix.normalize(posix.join(posix.dirname(from), path)).replace(/\/$/, '');
}

/** Relative and other links of Markdown, as they are written. */
export function linksIn(markdown: string): readonly string[] {
  const text = markdown.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);
}

/** In a fence that is longer than any in the text. */
function fenced(text: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map(({ length }) => length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text.trimEnd()}\n${fence}\n`;
}
