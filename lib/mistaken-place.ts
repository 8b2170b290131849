/** What is wrong with text that should name a place. */

/** What is wrong with text that should name a directory, a cache or a web site, and what was meant. */
export interface Mistake {
  readonly reason: string;
  readonly hint: string;
}

/** White space that trimming knows, and what has no width. */
const BLANK = /^[\s\u200b-\u200f\u2060\ufeff]+|[\s\u200b-\u200f\u2060\ufeff]+$/g;

/** Quotes of shells and word processors, at both ends: at one end one is a part of a name, unless it is that of a URL. */
const QUOTE = String.raw`["'\x60\u00ab\u00bb\u2018-\u201f\u2039\u203a]`;
const AROUND_URL = new RegExp(`^${QUOTE}+(?=.*://)|(?<=://.*)${QUOTE}+$`, 'gs');
const QUOTED = new RegExp(`^${QUOTE}+$|^${QUOTE}(.*)${QUOTE}$`, 's');

/** Nobody means these within a name, and no terminal shows them. Joiners are part of how many languages are written. */
const INVISIBLE = /[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/;

/** `$NAME`, `${NAME}`, `$(…)`, `{{ name }}`, `%NAME%`: what a shell or a CI system should have replaced. */
const VARIABLE = /\$\{?[A-Za-z_]|\$\(|\{\{|%(?![0-9A-F]{2}[A-Z_]+%[0-9A-F]{2})[A-Z_]{3,}%/;

/** What languages and programs print of a variable that has no value. */
const NO_VALUE = /^(?:undefined|null|nil|none|nan|true|false|\[object Object\])$/i;

/** Neighbours of the colon on a keyboard, before the slashes of a URL. */
const MISTYPED_COLON = /^[a-z][a-z0-9+]*[;.,]+\/\//i;

/** Says in a path that what follows is meant as it is; nobody writes it by accident. */
const INSISTED = '/./';

/** The mistakes that any such text can have: it was empty, quoted twice, or has a variable in it that nothing replaced. */
export function mistakeIn(text: string): Mistake | undefined {
  const inner = withoutEdges(text);
  if (inner === '') return { reason: 'is empty', hint: 'a variable in it may not be set' };
  if (inner !== text) {
    const what = /^\s|\s$/.test(text)
      ? 'begins or ends with white space'
      : 'has quotes, or signs without width, around it';
    return { reason: what, hint: `did you mean \`${inner}\`?` };
  }
  if (INVISIBLE.test(text)) {
    return { reason: 'has a line break or another sign in it that is not seen', hint: 'type it again, in one line' };
  }
  if (VARIABLE.test(text) && !text.includes(INSISTED)) {
    return {
      reason: 'has a variable in it that nothing has replaced',
      hint: 'single quotes keep a shell from it, and each CI system has its own way to write one; where a name has these signs, write `/./` before it',
    };
  }
  return undefined;
}

/** Text without what stands around it, however often. */
function withoutEdges(text: string): string {
  const inner = text.replace(BLANK, '').replace(AROUND_URL, '').replace(BLANK, '');
  const quoted = QUOTED.exec(inner);
  return quoted ? withoutEdges(quoted[1] ?? '') : inner;
}

/** The mistakes in the path of a directory: those of any text, and that it was meant as a URL, or as the home directory. */
export function mistakeInPath(path: string): Mistake | undefined {
  const mistake = mistakeIn(path);
  if (mistake) return mistake;
  if (NO_VALUE.test(path)) {
    return {
      reason: 'is what a program prints where nothing is set',
      hint: `a directory of that name is \`./${path}\``,
    };
  }
  if (MISTYPED_COLON.test(path)) {
    return { reason: 'looks like a URL, and is none', hint: `a directory of that name is \`./${path}\`` };
  }
  if (path.startsWith('~')) {
    return {
      reason: 'begins with `~`, which a shell replaces only outside of quotes',
      hint: `write \`$HOME\` or the path; a directory of that name is \`./${path}\``,
    };
  }
  if (/^(?:\\|[A-Za-z]:[\\/])/.test(path)) return { reason: 'is a path of Windows', hint: 'give a path with `/`' };
  const [url, scheme, rest] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(path) ?? [];
  if (url !== undefined) {
    const hint = scheme?.toLowerCase() === 'file' ? `did you mean \`${rest}\`?` : 'give a path';
    return { reason: 'is a URL, where a path belongs', hint };
  }
  if (/^[^/]*:/.test(path)) {
    return { reason: 'looks like a URL, and is none', hint: `a directory of that name is \`./${path}\`` };
  }
  return undefined;
}
