import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the repository. */
export const TOP = fileURLToPath(new URL('../..', import.meta.url));

export interface CodeBlock {
  /** What follows the opening fence. */
  readonly language: string;
  readonly text: string;
  /** The line that the text begins at. */
  readonly line: number;
  /** The nearest heading above, without its `#`. */
  readonly heading: string;
}

export function readDocument(path: string): string {
  return readFileSync(join(TOP, path), 'utf8');
}

/** The fenced code of a Markdown text, in its order. */
export function codeBlocks(markdown: string): readonly CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let heading = '';
  let open: { readonly language: string; readonly line: number; readonly lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line);
    if (open === undefined && fence) open = { language: fence[1]!.trim(), line: index + 2, lines: [] };
    else if (open && fence) {
      blocks.push({
        language: open.language,
        line: open.line,
        heading,
        text: open.lines.map((each) => `${each}\n`).join(''),
      });
      open = undefined;
    } else if (open) open.lines.push(line);
    else heading = /^#+ (.*)$/.exec(line)?.[1] ?? heading;
  }
  if (open) throw new Error(`the code block at line ${open.line} does not end`);
  return blocks;
}

/** The text without its fenced code. */
export function withoutCode(markdown: string): string {
  return markdown.replace(/^```[\s\S]*?^```$/gm, '');
}
