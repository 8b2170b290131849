/** Markup that text cannot become: HTML and XML. */

/** The only key to the markup in `Markup`. It stays in this module, so neither code nor data from elsewhere makes one. */
const OWN = Symbol('markup');

/** Markup that can go into a page or a feed as it is. */
export interface Markup {
  readonly [OWN]: string;
}

/** What a template takes: text is escaped, markup stays, lists are joined, and `undefined` is nothing. */
export type Content = Markup | string | number | undefined | readonly Content[];

/**
 * A template of markup. What stands in the template itself is markup; every value in it is text unless it is `Markup`, and
 * there is no other way to make `Markup`. Values belong between tags or into quoted attributes.
 */
export function markup(literals: TemplateStringsArray, ...values: readonly Content[]): Markup {
  let out = literals[0]!;
  for (const [index, value] of values.entries()) {
    // Without quotes a space would end the value and begin another attribute.
    if (out.endsWith('=')) throw new Error('A value of an attribute needs quotes.');
    out += render(value) + literals[index + 1]!;
  }
  return Object.freeze({ [OWN]: out });
}

/** The text of markup. */
export function markupOf(content: Markup): string {
  return content[OWN];
}

function render(content: Content): string {
  if (content === undefined) return '';
  if (typeof content === 'string') return escapeText(content);
  if (typeof content === 'number') return String(content);
  if (isList(content)) return content.map(render).join('');
  const own = content[OWN];
  if (own === undefined) throw new Error('This is neither text nor markup.');
  return own;
}

/** Text for both between tags and in quoted attributes. What HTML, XML or UTF-8 cannot hold becomes U+FFFD. */
function escapeText(text: string): string {
  return text.replace(SPECIAL, (character) => ENTITIES.get(character) ?? '\u{fffd}');
}

function isList(content: Content): content is readonly Content[] {
  return Array.isArray(content);
}

const ENTITIES = new Map([
  ['&', '&amp;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ['"', '&quot;'],
  ["'", '&#39;'],
  ['`', '&#96;'],
  // A parser would make another character of it.
  ['\r', '&#13;'],
]);

/** With the flag `u`, halves of a pair that stand alone are characters of their own. */
const SPECIAL = /[&<>"'`\r]|[\0-\u{8}\v\f\u{e}-\u{1f}\u{7f}-\u{9f}\p{Cs}\p{Noncharacter_Code_Point}]/gu;
