/** What the headings of a Markdown page are called, as the usual viewers and the site name them, and the text below each. */

export interface Section {
  /** Empty for what stands before the first heading. */
  readonly anchor: string;
  /** Plain text. */
  readonly heading: string;
  /** 1 for the title of the page; 0 before it. */
  readonly level: number;
  /** Plain text, code included. */
  readonly text: string;
}

/** The sections of a page, in its order. A heading that comes again gets a number, as on GitHub. */
export function sectionsOf(markdown: string): readonly Section[] {
  const sections: { heading: string; level: number; lines: string[] }[] = [{ heading: '', level: 0, lines: [] }];
  let fenced = false;
  for (const line of markdown.split('\n')) {
    const heading = fenced ? null : /^(#+) (.*)$/.exec(line);
    if (line.startsWith('```')) fenced = !fenced;
    else if (heading) sections.push({ heading: plainText(heading[2]!), level: heading[1]!.length, lines: [] });
    else sections.at(-1)!.lines.push(fenced ? line : plainText(line));
  }
  const name = anchors();
  return sections
    .map(({ heading, level, lines }) => ({
      ...{ heading, level, anchor: level === 0 ? '' : name(heading) },
      text: lines.join(' ').replace(/\s+/g, ' ').trim(),
    }))
    .filter(({ level, text }) => level > 0 || text !== '');
}

/** The anchors of a page. */
export function anchorsOf(markdown: string): readonly string[] {
  return sectionsOf(markdown).flatMap(({ level, anchor }) => (level > 0 ? [anchor] : []));
}

/** Names the headings of one page, which are asked for in their order. */
export function anchors(): (heading: string) => string {
  const seen = new Map<string, number>();
  return (heading) => {
    const base = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const before = seen.get(base) ?? 0;
    seen.set(base, before + 1);
    return before === 0 ? base : `${base}-${before}`;
  };
}

/** A line without the marks of Markdown. */
function plainText(line: string): string {
  return line
    .replace(/^\s*(?:[*-]|\d+\.|>) /, '')
    .replace(/^\|[\s|:-]+\|$/, '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[`|]|\*\*/g, '');
}
