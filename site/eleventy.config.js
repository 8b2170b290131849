/** Makes the site of the documentation with Eleventy: `npm run site`. What it knows of pages is in `tools/site`. */

import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import MiniSearch from 'minisearch';
import { siteMistakes } from '../dist/tools/site/links.js';
import { anchors, sectionsOf } from '../dist/tools/site/outline.js';
import { linkedFiles, navigationOf, pagesOf, siteLink, wayUp } from '../dist/tools/site/pages.js';

const TOP = fileURLToPath(new URL('..', import.meta.url));
const MINISEARCH = 'site/node_modules/minisearch/dist/umd/index.js';

/** Pages that searches leave out: they have a word of everything. */
const NOT_SEARCHED = ['docs/modules.md', 'CHANGELOG.md'];

const files = linkedFiles(
  filesIn('docs')
    .filter((path) => path.endsWith('.md'))
    .map((path) => ({ path, text: read(path) })),
  read,
);
const pages = pagesOf(files);

/** @param {import('@11ty/eleventy/UserConfig').default} config */
export default function configure(config) {
  config.setQuietMode(true);
  config.setInputDirectory('site');
  config.setLayoutsDirectory('layouts');
  config.setOutputDirectory('site/dist');
  config.ignores.add('site/dist/**');
  config.addGlobalData('navigation', navigationOf(files));
  config.amendLibrary('md', (library) => library.use(pageMarkup));
  for (const { source, url, title, markdown } of pages) {
    config.addTemplate(`${source}.md`, markdown, {
      ...{ layout: 'page.njk', permalink: url, source, title, top: wayUp(url) },
      contents: sectionsOf(markdown).filter(({ level }) => level === 2),
    });
  }
  config.addPassthroughCopy({ 'site/assets': '.', [MINISEARCH]: 'minisearch.js' });
  for (const path of filesIn('docs').filter((path) => /\.(svg|png)$/.test(path))) {
    config.addPassthroughCopy({ [path]: path.slice('docs/'.length) });
  }
  config.on('eleventy.after', ({ directories }) => {
    writeFileSync(join(directories.output, 'search-index.js'), `globalThis.carportSearch = ${searchIndex()};\n`);
    const mistakes = siteMistakes(
      new Map(filesIn(directories.output).map((path) => withText(directories.output, path))),
    );
    if (mistakes.length > 0) throw new Error(`The site has mistakes:\n${mistakes.join('\n')}`);
  });
  return { markdownTemplateEngine: false };
}

/** The text of a file; of a folder, which pages may link to as well, the names in it. */
function read(path) {
  const place = join(TOP, path);
  return statSync(place).isDirectory() ? readdirSync(place).sort().join('\n') : readFileSync(place, 'utf8');
}

/** Paths below a directory: of the repository from its top, and of the output from the output's. */
function filesIn(directory) {
  const inside = directory === 'docs';
  const entries = readdirSync(inside ? join(TOP, directory) : directory, { recursive: true, withFileTypes: true });
  const root = inside ? TOP : directory;
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
  return paths.map((path) => path.slice(join(root, '/').length).replaceAll('\\', '/')).sort();
}

function withText(directory, path) {
  return [path, path.endsWith('.html') ? readFileSync(join(directory, path), 'utf8') : ''];
}

/** Anchors of headings, links to pages, and what can be scrolled sideways with keys. */
function pageMarkup(library) {
  library.core.ruler.push('page', ({ tokens, env }) => {
    const name = anchors();
    for (const [index, token] of tokens.entries()) {
      if (token.type === 'heading_open') token.attrSet('id', name(plain(tokens[index + 1])));
      for (const child of token.children ?? []) {
        if (child.type === 'link_open') child.attrSet('href', siteLink(env.source, child.attrGet('href')));
        if (child.type === 'image') child.attrSet('src', siteLink(env.source, child.attrGet('src')));
      }
    }
  });
  const { rules } = library.renderer;
  rules.table_open = () => '<div class="scroll" role="group" aria-label="Table" tabindex="0">\n<table>\n';
  rules.table_close = () => '</table>\n</div>\n';
  rules.fence = ([...tokens], index) =>
    `<pre tabindex="0"><code>${library.utils.escapeHtml(tokens[index].content)}</code></pre>\n`;
}

function plain({ children }) {
  return children.map(({ type, content }) => (type === 'text' || type === 'code_inline' ? content : '')).join('');
}

/** MiniSearch's own JSON of every section; what results show is stored with it. */
function searchIndex() {
  const index = new MiniSearch({
    fields: ['heading', 'title', 'text'],
    storeFields: ['url', 'title', 'heading', 'excerpt'],
  });
  const sections = pages
    .filter(({ source }) => !NOT_SEARCHED.includes(source))
    .flatMap(({ url, title, markdown }) =>
      sectionsOf(markdown).map(({ level, anchor, heading, text }) => ({
        ...{ url: level < 2 ? url : `${url}#${anchor}`, title, heading: level < 2 ? title : heading, text },
        excerpt: text.length > 160 ? `${text.slice(0, 160).replace(/\s\S*$/, '')} …` : text,
      })),
    );
  index.addAll(sections.map((section, id) => ({ id, ...section })));
  return JSON.stringify(index);
}
