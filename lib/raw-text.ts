/** Text that holds bytes that are not UTF-8. */

/** Bytes that are not UTF-8, each as a surrogate that stands alone: U+DC80 is 0x80. No text has such. */
const RAW = /([\udc80-\udcff])/u;

const FIRST_RAW = 0xdc00;

/** Characters of more than one byte, or a byte that belongs to none, in text of one character a byte. */
const BEYOND_ASCII =
  /((?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+)|([\x80-\xff])/g;

/** Text of bytes of which the system does not say what they are; nothing is lost where they are not UTF-8. */
export function rawText(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(BEYOND_ASCII, (_, characters: string | undefined, byte: string) =>
      characters === undefined
        ? String.fromCharCode(FIRST_RAW + byte.charCodeAt(0))
        : Buffer.from(characters, 'latin1').toString('utf8'),
    );
}

/** The bytes again. */
export function rawBytes(text: string): Buffer {
  // Every second part is what was split at.
  const parts = text.split(RAW).map((part, index) => {
    return index % 2 === 0 ? Buffer.from(part) : Buffer.from([part.charCodeAt(0) - FIRST_RAW]);
  });
  return Buffer.concat(parts);
}

/** Whether text holds bytes that are not UTF-8: Node would pass on others in their place. */
export function isRaw(text: string): boolean {
  return RAW.test(text);
}
