/** Text with the escapes of URLs, JSON and HTML undone, and where that was. */

/** Text with its escapes undone, and where each character of that is in the text as it was. */
export interface Unescaped {
  readonly plain: string;
  /** The place in the text as it was, of the character at a place in `plain`, or of the end of the one before it. */
  readonly sourceOf: (at: number) => number;
}

/** Those of URLs (also twice or more), of JSON and other languages, and of HTML. */
const ESCAPE =
  /%(?:25){0,9}([0-9a-f]{2})|\\{1,15}(?:u00([0-9a-f]{2})|x([0-9a-f]{2})|([nrt/]))|&#(?:x([0-9a-f]{1,4})|([0-9]{1,4}));/gi;

const LETTERS: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '/': '/' };

export function unescapeText(text: string): Unescaped {
  if (!/[%\\&]/.test(text)) return { plain: text, sourceOf: (at) => at };
  const parts: string[] = [];
  /** Behind each escape: the place in `plain`, and how much further that is in the text. */
  const marks: { readonly at: number; readonly ahead: number }[] = [];
  let [from, ahead] = [0, 0];
  for (const found of text.matchAll(ESCAPE)) {
    parts.push(text.slice(from, found.index), characterOf(found));
    from = found.index + found[0].length;
    ahead += found[0].length - 1;
    marks.push({ at: from - ahead, ahead });
  }
  parts.push(text.slice(from));
  return { plain: parts.join(''), sourceOf: (at) => at + aheadAt(marks, at) };
}

function characterOf([, percent, unicode, short, letter, hex, decimal]: RegExpExecArray): string {
  if (letter !== undefined) return LETTERS[letter.toLowerCase()]!;
  if (decimal !== undefined) return String.fromCharCode(Number(decimal));
  return String.fromCharCode(Number.parseInt((percent ?? unicode ?? short ?? hex)!, 16));
}

/** By halves: the last mark that is not behind. */
function aheadAt(marks: readonly { readonly at: number; readonly ahead: number }[], at: number): number {
  let [low, high] = [0, marks.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (marks[middle]!.at <= at) low = middle + 1;
    else high = middle;
  }
  return marks[low - 1]?.ahead ?? 0;
}
