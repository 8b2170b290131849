/**
 * Secret keys, known by their form wherever they stand in text. A signature is 64 bytes behind a name, too: what
 * tells them apart for sure is that the second half of a key is the public key of the first. To work that out is
 * dear, so it is done only where text has 64 bytes between limits, and the work grows with the text and no faster.
 */

import { isKeyPair } from '../ed25519-pair.js';
import { unescapeText } from './escaped-text.js';

/** What stands in the place of a key. */
export const HIDDEN_KEY = '[secret key]';

/** Characters of base 64 for 64 bytes, without padding; the last has only two bits. */
export const KEY_LENGTH = 86;
const LAST_CHARACTERS = 'AQgw';

/** Of so many random characters, fewer are upper or lower case once in ten million times: words and paths mostly are. */
const FEWEST_OF_CASE = 12;

/** A piece of base 64 that is not much longer than a key is tried at each place. */
const MOST_AROUND = 4;

/** Into more lines nobody breaks a key. In so many words of prose there are not the characters of one. */
const MOST_PIECES = 8;

/** Text around a key that was encoded once more, and what is the least of a line of that. */
const [LEAST_ENCODED, MOST_ENCODED, LEAST_LINE] = [115, 4096, 16];

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Whether a secret key is in text. */
export function hasSecretKey(text: string): boolean {
  return mayHoldKey(text) && spansIn(unescapeText(text).plain).length > 0;
}

/** Text without the secret keys that are in it: those of Nix, of minisign, and in PEM. Signatures and public keys stay. */
export function hideSecretKeys(text: string): string {
  if (!mayHoldKey(text)) return text;
  const { plain, sourceOf } = unescapeText(text);
  let shown = '';
  let at = 0;
  for (const { start, end } of spansIn(plain)) {
    const source = sourceOf(start);
    if (source >= at) shown += text.slice(at, source) + HIDDEN_KEY;
    at = Math.max(at, sourceOf(end));
  }
  return shown + text.slice(at);
}

function mayHoldKey(text: string): boolean {
  return text.length >= KEY_LENGTH || text.includes('BEGIN');
}

const PEM =
  /-----BEGIN[\s?+](?:[A-Z0-9]+[\s?+])*PRIVATE[\s?+]KEY(?:[\s?+]BLOCK)?-----[\s\S]*?(?:-----END[^-]*-----|$)/g;

/** `Ed`, the cipher (`Sc`, or none), `B2`, and 152 bytes. */
const MINISIGN = /RW(?:RTY0Iy|QAAEIy)[A-Za-z0-9+/_-]{100,}={0,2}/g;

/** Base 64 of both kinds. */
const PIECE = /[A-Za-z0-9+/_-]+/g;

/** What a line break became, where text was put in one line, is a `?`. */
const GAP = /^[\s?]{1,200}$/;

/** In the order of where they begin. */
function spansIn(plain: string, isInner = false): readonly Span[] {
  const found: Span[] = [PEM, MINISIGN].flatMap((form) =>
    [...plain.matchAll(form)].map(({ 0: text, index }) => ({ start: index, end: index + text.length })),
  );
  /** The last pieces that only white space parts; and lines that may be base 64 of more than a key. */
  let pieces: Span[] = [];
  let lines: Span[] = [];
  const endLines = () => {
    if (!isInner && holdsEncodedKey(plain, lines)) found.push(padded(plain, lines[0]!.start, lines.at(-1)!.end));
    lines = [];
  };
  for (const { 0: text, index } of plain.matchAll(PIECE)) {
    const piece = { start: index, end: index + text.length };
    const last = pieces.at(-1);
    const goesOn = last !== undefined && index - last.end <= 200 && GAP.test(plain.slice(last.end, index));
    if (!goesOn) pieces = [];
    if (text.length >= KEY_LENGTH) found.push(...keysWithin(plain, piece));
    if (pieces.length > 0) found.push(...keysAcross(plain, pieces, piece));
    pieces.push(piece);
    if (pieces.length >= MOST_PIECES) pieces.shift();
    if (!goesOn) endLines();
    if (text.length >= LEAST_LINE || lines.length > 0) lines.push(piece);
    if (text.length < LEAST_LINE) endLines();
  }
  endLines();
  return found.sort((one, other) => one.start - other.start);
}

/** Keys at the ends of a piece, one behind the other; between signs that are parts of paths and names, too; or anywhere. */
function keysWithin(plain: string, { start, end }: Span): readonly Span[] {
  const found: Span[] = [];
  const take = (at: number): boolean => {
    const isFound = isKeyAt(plain, at, at + KEY_LENGTH);
    if (isFound) found.push(padded(plain, at, at + KEY_LENGTH));
    return isFound;
  };
  let [first, last] = [start, end - KEY_LENGTH];
  while (first <= last && take(first)) first += KEY_LENGTH;
  while (first <= last && take(last)) last -= KEY_LENGTH;
  const isShort = end - start <= KEY_LENGTH + MOST_AROUND;
  for (let at = first + 1; at < last; at++) {
    if (!isShort && !(isLimit(plain, at - 1) && isLimit(plain, at + KEY_LENGTH))) continue;
    if (take(at)) at += KEY_LENGTH - 1;
  }
  return found;
}

/** A key that lines break: from the beginning of one to the end of one, or on one side to a sign that may be a limit. */
function keysAcross(plain: string, before: readonly Span[], { start, end }: Span): readonly Span[] {
  const found: Span[] = [];
  const take = (from: number, to: number) => {
    if (isKeyAt(plain, from, to)) found.push(padded(plain, from, to));
  };
  let length = 0;
  for (const piece of before.toReversed()) {
    const own = piece.end - piece.start;
    const to = start + KEY_LENGTH - length - own;
    if (to > start && (to === end || (to < end && isLimit(plain, to)))) take(piece.start, to);
    const from = piece.end - (KEY_LENGTH - length - (end - start));
    if (from > piece.start && from < piece.end && isLimit(plain, from - 1)) take(from, end);
    length += own;
    if (length >= KEY_LENGTH) break;
  }
  return found;
}

/** Signs of base 64 that mostly are something else. */
function isLimit(plain: string, at: number): boolean {
  return '+/-_'.includes(plain[at]!);
}

function isKeyAt(plain: string, start: number, end: number): boolean {
  if (!LAST_CHARACTERS.includes(plain[end - 1]!)) return false;
  const characters = plain.slice(start, end).replace(/[\s?]+/g, '');
  if (!isMixed(characters, FEWEST_OF_CASE)) return false;
  const bytes = Buffer.from(characters, 'base64');
  return isKeyPair(bytes.subarray(0, 32).toString('base64url'), bytes.subarray(32).toString('base64url'));
}

/** A key file in base 64, as some CI systems want secrets. */
function holdsEncodedKey(plain: string, lines: readonly Span[]): boolean {
  const length = lines.reduce((sum, { start, end }) => sum + end - start, 0);
  if (length < LEAST_ENCODED || length > MOST_ENCODED) return false;
  const characters = lines.map(({ start, end }) => plain.slice(start, end)).join('');
  if (!isMixed(characters, 2 * FEWEST_OF_CASE)) return false;
  return [0, 1, 2, 3].some((skip) => {
    const inner = Buffer.from(characters.slice(skip), 'base64').toString('latin1');
    return /[\t\n\r\x20-\x7e]{70}/.test(inner) && spansIn(inner, true).length > 0;
  });
}

/** Whether text has letters of both cases, and digits, as what is random has. */
export function isMixed(text: string, fewestOfCase: number): boolean {
  let [upper, lower, digits] = [0, 0, 0];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 97 && code <= 122) lower++;
    else if (code >= 65 && code <= 90) upper++;
    else if (code >= 48 && code <= 57) digits++;
  }
  return upper >= fewestOfCase && lower >= fewestOfCase && digits > 0;
}

function padded(plain: string, start: number, end: number): Span {
  const padding = plain.startsWith('==', end) ? 2 : plain[end] === '=' ? 1 : 0;
  return { start, end: end + padding };
}
