/** Text without control characters. */

/** Names from archives, caches and settings are in what is printed: they must not drive the terminal, nor turn its text round. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '?');
}

/** The same in one line: no text of others can look like a line of carport's own. */
export function printableLine(text: string): string {
  return printable(text).replaceAll('\n', '?');
}
