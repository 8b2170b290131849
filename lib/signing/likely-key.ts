/** What looks like a secret key, or like a part of one: for words about what went wrong, and for names of files. */

import { HIDDEN_KEY, hideSecretKeys, isMixed, KEY_LENGTH } from './secret-form.js';

/** In so much base 64 there is one slash, mostly; so many are in one of some millions. */
const MOST_SLASHES = 9;

/** Of the letters of so much base 64, fewer are of one case once in a few thousand times; names have one at each word. */
const LEAST_SHARE = 0.2;

/** Text without secret keys, nor what is no whole one but cannot be a public key, a signature or a hash. */
export function hideLikelyKeys(text: string): string {
  return hideSecretKeys(text).replace(NAMED, (found, name: string, encoded: string) =>
    isLikelyKey(name, encoded) ? HIDDEN_KEY : found,
  );
}

/** Whether text that should name a file looks like a key, or a part of one. */
export function looksLikeKey(text: string): boolean {
  return [text, text.replace(/[\s"'\\]+/g, '')].some(
    (form) => hideLikelyKeys(form) !== form || SHORT.test(decoded(form)),
  );
}

/** Whether text without a name looks so; a file may be called so, too. */
export function mayBeKey(text: string): boolean {
  const plain = decoded(text).replace(/[\s"'\\]+/g, '');
  return /^[A-Za-z0-9+/_-]{40,}={0,2}$/.test(plain) && isMixed(plain, 6);
}

/** A name, and 32 bytes: a public key, or the seed of a secret one. */
const SHORT = /^\W*[^\s:/]+:[A-Za-z0-9+/]{43}=?\W*$/;

/** More than the 32 bytes of a public key, behind a name. */
const NAMED =
  /(?<=(?:^|[^A-Za-z0-9+/=])([^\s:]{0,200})(?::|%(?:25){0,9}3A))((?:[A-Za-z0-9+/]|%(?:25){0,9}2[BF]){44,})(?:=|%(?:25){0,9}3D)*/gi;

function isLikelyKey(name: string, encoded: string): boolean {
  const plain = decoded(encoded);
  if (plain.length < 44 || plain.length > 2 * KEY_LENGTH || /(?:md5|sha\d+)$/i.test(name)) return false;
  const isPath = plain.startsWith('//') || plain.split('/').length > MOST_SLASHES + 1;
  const hasPort = /^[0-9]{2,5}\//.test(plain);
  if (isPath || hasPort || !(isEven(plain) || isEven(plain.slice(0, 44)))) return false;
  // The second half of a signature is a number below 2^252 and a little.
  return plain.length !== KEY_LENGTH || Buffer.from(plain, 'base64')[63]! > 0x10;
}

/** Whether letters of both cases are about as many as where they are random. */
function isEven(text: string): boolean {
  const upper = text.replace(/[^A-Z]/g, '').length;
  const letters = text.replace(/[^A-Za-z]/g, '').length;
  return isMixed(text, 8) && Math.min(upper, letters - upper) >= LEAST_SHARE * letters;
}

function decoded(text: string): string {
  return text.replace(/%(?:25)*([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
