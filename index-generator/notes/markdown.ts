/**
 * Release notes, which are Markdown, as markup. The parser (`markdown-it`) gives tokens only, and each of those that are known
 * here becomes markup of a template, so no text of notes is ever markup itself. Raw HTML is text, pictures are links, and
 * links lead to the web only.
 */

import MarkdownIt, { type Token } from 'markdown-it';
import { type Content, type Markup, markup } from '../markup.js';

/** Notes that were parsed. */
export interface ParsedNotes {
  /** What they begin with, in at most three lines of plain text: the first paragraph, or the first points of the first list. */
  readonly lines: readonly string[];
  /** Whether these lines are all that the notes say. */
  readonly isShort: boolean;
  /** The whole. Headings begin at this level, and skip none. */
  render(headings: number): Markup;
}

/** What is nested deeper than this is left out: people do not write it. */
const MAX_NESTING = 20;

/** What is more is shown as it was typed. */
const MAX_TOKENS = 20_000;

/** Lines of a summary, and characters of each. */
const SUMMARY = { lines: 3, characters: 160 } as const;

/** Made when the first notes are parsed. */
let parser: ReturnType<typeof MarkdownIt> | undefined;

/** Parses notes. Whatever text it is, there is no failure. */
export function parseNotes(text: string): ParsedNotes {
  const tokens = markdown().parse(text, {});
  // A short text may ask for a table of many thousands of cells.
  if (tokens.length > MAX_TOKENS) {
    return { lines: [], isShort: false, render: () => markup`<pre><code>${text}</code></pre>\n` };
  }
  const { lines, isShort } = summaryOf(tokens);
  return { lines, isShort, render: (headings) => renderTokens(tokens, headings) };
}

function markdown(): NonNullable<typeof parser> {
  if (parser) return parser;
  parser = new MarkdownIt('default', { html: false, linkify: true, maxNesting: MAX_NESTING });
  // `notes.md` is no address.
  parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
  return parser;
}

function summaryOf(tokens: readonly Token[]): Pick<ParsedNotes, 'lines' | 'isShort'> {
  const texts: string[] = [];
  let isShort = true;
  let list: boolean | undefined;
  for (const [index, token] of tokens.entries()) {
    const isPart = token.type === 'inline' && tokens[index - 1]?.type === 'paragraph_open';
    if (!isPart) {
      isShort &&= !OTHER_BLOCKS.has(token.type);
      continue;
    }
    // A paragraph of its own, or the points of one list.
    const isOfList = token.level > 1;
    list ??= isOfList;
    const isFull = texts.length === (list ? SUMMARY.lines : 1);
    if (isFull || isOfList !== list || token.level > 3) isShort = false;
    else texts.push(textOf(token.children ?? []));
  }
  const lines = texts.filter((text) => text !== '').map(shortened);
  return { lines, isShort: isShort && lines.every((line) => !line.endsWith('…')) };
}

/** What is more than paragraphs and lists. */
const OTHER_BLOCKS: ReadonlySet<string> = new Set([
  'heading_open',
  'fence',
  'code_block',
  'table_open',
  'blockquote_open',
]);

function shortened(text: string): string {
  if (text.length <= SUMMARY.characters) return text;
  const cut = text.slice(0, SUMMARY.characters);
  const space = cut.lastIndexOf(' ');
  return `${(space > SUMMARY.characters / 2 ? cut.slice(0, space) : cut).trimEnd()}…`;
}

function textOf(tokens: readonly Token[]): string {
  return tokens
    .map(({ type, content }) => (type === 'softbreak' || type === 'hardbreak' ? ' ' : content))
    .join('')
    .replace(/\s+/g, ' ')
    .trim();
}

/** An element whose end has not come yet. */
interface Open {
  readonly token: Token;
  readonly content: Content[];
}

interface Rendering {
  readonly headings: number;
  /** Levels of the headings that this one is below, as the notes have them. */
  readonly above: number[];
}

function renderTokens(tokens: readonly Token[], headings: number): Markup {
  const whole: Content[] = [];
  const open: Open[] = [];
  const rendering: Rendering = { headings, above: [] };
  const add = (content: Content) => (open.at(-1)?.content ?? whole).push(content);
  for (const token of flatten(tokens)) {
    if (token.nesting === 1) open.push({ token, content: [] });
    else if (token.nesting === 0) add(leaf(token, open));
    else {
      const last = open.pop();
      if (last) add(element(last, rendering));
    }
  }
  return markup`${whole}`;
}

/** Blocks, and in their places what is in their lines. */
function* flatten(tokens: readonly Token[]): Generator<Token> {
  for (const token of tokens) {
    if (token.type === 'inline') yield* token.children ?? [];
    else yield token;
  }
}

function leaf(token: Token, open: readonly Open[]): Content {
  const { type, content } = token;
  switch (type) {
    case 'code_inline':
      return markup`<code>${content}</code>`;
    case 'fence':
    case 'code_block':
      return markup`<pre><code>${content}</code></pre>\n`;
    case 'softbreak':
      return '\n';
    case 'hardbreak':
      return markup`<br>\n`;
    case 'hr':
      return markup`<hr>\n`;
    case 'image': {
      const address = linkTo(token.attrGet('src'));
      const text = content.trim() === '' ? address : content;
      const isInLink = open.some((each) => each.token.type === 'link_open');
      return address === undefined || isInLink ? text : markup`<a href="${address}">${text}</a>`;
    }
    default:
      return content;
  }
}

function element({ token, content }: Open, rendering: Rendering): Content {
  const isEmpty = content.every((each) => typeof each === 'string' && each.trim() === '');
  switch (token.type) {
    case 'paragraph_open':
      return token.hidden ? [...content, '\n'] : markup`<p>${content}</p>\n`;
    case 'heading_open':
      return isEmpty ? undefined : heading(Number(token.tag.slice(1)), content, rendering);
    case 'bullet_list_open':
      return markup`<ul>${content}</ul>\n`;
    case 'ordered_list_open':
      return markup`<ol start="${token.attrGet('start') ?? 1}">${content}</ol>\n`;
    case 'list_item_open':
      return markup`<li>${content}</li>\n`;
    case 'blockquote_open':
      return markup`<blockquote>${content}</blockquote>\n`;
    case 'em_open':
      return markup`<em>${content}</em>`;
    case 'strong_open':
      return markup`<strong>${content}</strong>`;
    case 's_open':
      return markup`<s>${content}</s>`;
    case 'link_open':
      return link(linkTo(token.attrGet('href')), isEmpty ? undefined : content);
    case 'table_open':
      return markup`<table>${content}</table>\n`;
    case 'thead_open':
      return markup`<thead>${content}</thead>`;
    case 'tbody_open':
      return markup`<tbody>${content}</tbody>`;
    case 'tr_open':
      return markup`<tr>${content}</tr>\n`;
    case 'th_open':
      return isEmpty ? markup`<td></td>` : markup`<th scope="col">${content}</th>`;
    case 'td_open':
      return markup`<td>${content}</td>`;
    default:
      return content;
  }
}

function link(address: string | undefined, content: Content): Content {
  if (address === undefined) return content;
  return markup`<a href="${address}">${content ?? address}</a>`;
}

/** Of the levels that the notes have, those that are between are left out. */
function heading(level: number, content: Content, { headings, above }: Rendering): Markup {
  while ((above.at(-1) ?? 0) >= level) above.pop();
  above.push(level);
  switch (Math.min(6, headings + above.length - 1)) {
    case 1:
    case 2:
      return markup`<h2>${content}</h2>\n`;
    case 3:
      return markup`<h3>${content}</h3>\n`;
    case 4:
      return markup`<h4>${content}</h4>\n`;
    case 5:
      return markup`<h5>${content}</h5>\n`;
    default:
      return markup`<h6>${content}</h6>\n`;
  }
}

/** An address on the web, without a password; a place within a page stays. */
function linkTo(address: string | number | null): string | undefined {
  if (typeof address !== 'string' || !URL.canParse(address)) return undefined;
  const { protocol, host, pathname, search, hash } = new URL(address);
  return protocol === 'https:' || protocol === 'http:' ? `${protocol}//${host}${pathname}${search}${hash}` : undefined;
}
