/** What pages about caches have in common: their mark, their style, facts and commands. */

import { renderDocument } from '../html/document.js';
import { copyScript } from '../html/scripts/copy.js';
import { style } from '../html/style.js';
import { type Content, type Markup, markup, markupOf } from '../markup.js';

const mark = markup`<meta name="generator" content="carport cache page">`;

const PLOT_STYLE = markup`
svg { display: block; width: 100%; height: auto; margin: 0.5rem 0; color: var(--text); }
svg text { font: 13px system-ui, sans-serif; fill: var(--text); }
svg .small { fill: var(--muted); }
svg .end { text-anchor: end; }
svg .middle { text-anchor: middle; }
svg .scale { stroke: var(--line); }
svg .line { fill: none; stroke: var(--accent); stroke-width: 2; }
svg .area, svg .bar, svg .box { fill: var(--raised); stroke: var(--accent); }
svg .area { stroke: none; }
.held { list-style: none; margin: 0; padding: 0; font-weight: normal; }
main th:first-child { width: 55%; }
td.number, th.number { text-align: end; }
.facts { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; margin: 1rem 0; }
.facts div { display: flex; flex-direction: column-reverse; }
.facts dt { color: var(--muted); font-size: 0.875rem; }
.facts dd { margin: 0; font-size: 1.5rem; }
`;

const STYLE = markup`${style}${PLOT_STYLE}`;

/** In each page about a cache, and in no other. */
export const PAGE_MARK = markupOf(mark);

/** A whole page. The same content gives the same text. */
export function pageOf(title: string, content: Content): string {
  return renderDocument({
    ...{ title, mark, style: STYLE, script: copyScript },
    body: markup`<header><h1><bdi>${title}</bdi></h1></header>
<main>
${content}
</main>`,
  });
}

/** Numbers with what they are, the number large. */
export function facts(entries: readonly (readonly [name: string, value: string])[]): Markup {
  return markup`<dl class="facts">${entries.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** A command with a button that copies it. */
export function command(text: string, of: string): Markup {
  return markup`<pre data-copy="the command for ${of}"><code>${text}</code></pre>`;
}
