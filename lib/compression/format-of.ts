/** What a file is by its first bytes. */

/** How files begin, by the names of their formats in narinfos; `br` has no mark. */
const MARKS: readonly (readonly [name: string, mark: string])[] = [
  ['zstd', '\x28\xb5\x2f\xfd'],
  ['xz', '\xfd7zXZ\0'],
  ['gzip', '\x1f\x8b\x08'],
  ['bzip2', 'BZh'],
  ['lzip', 'LZIP'],
  ['lz4', '\x04\x22\x4d\x18'],
  ['lzma', '\x5d\0\0'],
  ['compress', '\x1f\x9d'],
  ['none', '\x0d\0\0\0\0\0\0\0nix-archive-1'],
];

/** As many bytes of a file as tell what it is. */
export const HEAD_SIZE = 64;

/** What a file is by its first bytes, in words, when it is something else than `compression`. */
export function otherFormat(compression: string, head: Uint8Array): string | undefined {
  if (isWebPage(head)) return 'a web page';
  const name = formatOf(head);
  if (name === undefined || name === compression) return undefined;
  return name === 'none' ? 'a NAR that is not compressed' : name;
}

/** The format that a file is of by its first bytes, by its name in narinfos. */
export function formatOf(head: Uint8Array): string | undefined {
  const text = textOf(head);
  return MARKS.find(([, mark]) => text.startsWith(mark))?.[0];
}

/** A page of a proxy that wants a login comes in place of anything, and with a good status. */
export function isWebPage(head: Uint8Array): boolean {
  return /^\s*<(!doctype|html|\?xml)/i.test(textOf(head));
}

function textOf(head: Uint8Array): string {
  return Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1', 0, HEAD_SIZE);
}
