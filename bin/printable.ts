/** Names from archives, caches and settings are in what is printed: they must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/g, '?');
}
