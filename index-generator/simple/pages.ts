/** Simple indexes: what Python's installers read (PEP 503, 592, 629, 658, 691, 700, 714). */

import type { Notice } from '../../lib/notice.js';
import type { ReleaseIndex } from '../../release/catalog/model.js';
import { simpleKey } from '../../release/layout.js';
import type { PublishedFile } from '../../release/publish/publication.js';
import { CHANNELS, type Channel } from '../../release/version.js';
import { pathOfKey } from '../links.js';
import { markup, markupOf } from '../markup.js';
import { type SimpleFile, type SimpleProject, simpleProjects } from './projects.js';

/** When simple indexes are made: where there is something for them, or always, or never. */
export type SimpleIndexRule = 'auto' | 'always' | 'never';

/** Sizes and upload times are since this version (PEP 700). */
const API_VERSION = '1.1';

const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/vnd.pypi.simple.v1+json';

/** By these marks pages of ours are known again. */
const HTML_MARK = '<meta name="generator" content="carport">';
const JSON_MARK = '"_generator":"carport"';

/** Whether a page of a simple index is one that was made here. */
export function isOwnSimplePage(there: Buffer): boolean {
  const head = there.toString('utf8', 0, 1000);
  return head.includes(HTML_MARK) || head.includes(JSON_MARK);
}

/** What is to be said of files that simple indexes leave out. */
export function warningsOfSimple({ releases }: ReleaseIndex, rule: SimpleIndexRule): readonly Notice[] {
  const warnings: Notice[] = [];
  if (rule !== 'never') for (const channel of CHANNELS) simpleProjects(releases[channel], warnings);
  return warnings;
}

/** The pages of all channels: those of a project before the list that leads to them. The same for the same releases. */
export function* simpleEntries({ releases }: ReleaseIndex, rule: SimpleIndexRule): Generator<PublishedFile> {
  if (rule === 'never') return;
  for (const channel of CHANNELS) {
    const projects = simpleProjects(releases[channel]);
    if (projects.length === 0 && rule !== 'always') continue;
    for (const project of projects) {
      yield page(simpleKey(channel, 'json', project.name), JSON_TYPE, () => renderProjectJson(project));
      yield page(simpleKey(channel, 'html', project.name), HTML, () => renderProject(project));
    }
    yield page(simpleKey(channel, 'json'), JSON_TYPE, () => renderListJson(projects));
    yield page(simpleKey(channel, 'html'), HTML, () => renderList(projects, channel));
  }
}

function page(key: string, contentType: string, render: () => string): PublishedFile {
  return { key, contentType, content: render(), mayReplace: isOwnSimplePage };
}

/** Pages of projects are two directories deep. */
function urlOf(file: SimpleFile): string {
  return `../../${pathOfKey(file.key) ?? ''}`;
}

function renderProject({ name, files }: SimpleProject): string {
  return renderHtml(
    `Links for ${name}`,
    files.map((file) => {
      const { python, sha256, hasMetadata, yanked } = file;
      const { requiresPython, metadataSha256 } = python;
      const attributes = [
        ...(requiresPython === null ? [] : [markup` data-requires-python="${requiresPython}"`]),
        ...(hasMetadata ? [markup` data-core-metadata="${`sha256=${metadataSha256}`}"`] : []),
        ...(yanked === undefined ? [] : [markup` data-yanked="${yanked}"`]),
      ];
      return markup`<a href="${`${urlOf(file)}#sha256=${sha256}`}"${attributes}>${file.name}</a><br>\n`;
    }),
  );
}

function renderList(projects: readonly SimpleProject[], channel: Channel): string {
  return renderHtml(
    `Simple index (${channel})`,
    projects.map(({ name }) => markup`<a href="${name}/">${name}</a><br>\n`),
  );
}

function renderHtml(title: string, links: readonly ReturnType<typeof markup>[]): string {
  const head = markup`<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="pypi:repository-version" content="${API_VERSION}">\n<meta name="generator" content="carport">\n<title>${title}</title>\n</head>\n`;
  return markupOf(markup`${head}<body>\n<h1>${title}</h1>\n${links}</body>\n</html>\n`);
}

function renderProjectJson({ name, versions, files }: SimpleProject): string {
  return renderJson({ name, versions, files: files.map(fileJson) });
}

function fileJson(file: SimpleFile) {
  const { name, size, sha256, python, hasMetadata, time, yanked } = file;
  const { requiresPython, metadataSha256 } = python;
  return {
    filename: name,
    url: urlOf(file),
    hashes: { sha256 },
    ...(requiresPython !== null && { 'requires-python': requiresPython }),
    size,
    'upload-time': time,
    'core-metadata': hasMetadata ? { sha256: metadataSha256 } : false,
    // Without a reason it would be as if it were not.
    yanked: yanked === undefined ? false : yanked || true,
  };
}

function renderListJson(projects: readonly SimpleProject[]): string {
  return renderJson({ projects: projects.map(({ name }) => ({ name })) });
}

function renderJson(content: object): string {
  return `${JSON.stringify({ meta: { 'api-version': API_VERSION, _generator: 'carport' }, ...content })}\n`;
}
