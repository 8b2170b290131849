import { createPrivateKey } from 'node:crypto';

/**
 * Secret keys, known by their form wherever they stand in text. A signature is 64 bytes behind a name, too: what tells them
 * apart for sure is that the second half of a key is the public key of the first.
 */

/** What stands in the place of a key. */
export const HIDDEN_KEY = '[secret key]';

/** Characters of base 64 for 64 bytes, without padding; the last has only two bits. */
const KEY_LENGTH = 86;
const LAST_CHARACTERS = 'AQgw';

/** Of so many random characters, fewer are upper or lower case once in ten million times: words and paths mostly are. */
const FEWEST_OF_CASE = 12;

/** In so much base 64 there is one slash, mostly, and more in a path. */
const MOST_SLASHES = 5;

/** Text around a key that was encoded once more. */
const MAX_ENCODED = 4096;

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Base 64 as it stands in text: characters, and where each begins and ends there. */
interface Run {
  readonly characters: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** Whether a secret key is in text. */
export function hasSecretKey(text: string): boolean {
  return hideSecretKeys(text) !== text;
}

/** Text without the secret keys that are in it: those of Nix, of minisign, and in PEM. Signatures and public keys stay. */
export function hideSecretKeys(text: string): string {
  if (text.length < KEY_LENGTH && !text.includes('-----BEGIN')) return text;
  const spans = runsOf(text).flatMap((run) => keysIn(run));
  let shown = '';
  let at = 0;
  for (const { start, end } of spans) {
    shown += text.slice(at, start) + HIDDEN_KEY;
    at = end + padding(text, end);
  }
  return (shown + text.slice(at)).replace(PEM, HIDDEN_KEY).replace(MINISIGN, HIDDEN_KEY);
}

/** Also what is no whole key, but cannot be a public key, a signature or a hash: for words about what went wrong. */
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

/** The same of text without a name: a file may be called so. */
export function mayBeKey(text: string): boolean {
  const plain = decoded(text).replace(/[\s"'\\]+/g, '');
  return /^[A-Za-z0-9+/_-]{40,}={0,2}$/.test(plain) && isMixed(plain, 8);
}

/** A name, and 32 bytes: a public key, or the seed of a secret one. */
const SHORT = /^\W*[^\s:/]+:[A-Za-z0-9+/]{43}=?\W*$/;

const SPACE = String.raw`(?:[\s?+]|%(?:25)*20)`;
const PEM = new RegExp(
  String.raw`-----BEGIN${SPACE}(?:[A-Z0-9]+${SPACE})*PRIVATE${SPACE}KEY-----[\s\S]*?(?:-----END[^-]*-----|$)`,
  'g',
);

/** `Ed`, the cipher (`Sc`, or none), `B2`, and 152 bytes. */
const MINISIGN = /RW(?:RTY0Iy|QAAEIy)[A-Za-z0-9+/]{100,}={0,2}/g;

/** More than the 32 bytes of a public key, behind a name. */
const NAMED =
  /(?<=(?:^|[^A-Za-z0-9+/=])([^\s:]*)(?::|%(?:25)*3A))((?:[A-Za-z0-9+/]|%(?:25)*2[BF]){44,})(?:=|%(?:25)*3D)*/gi;

function isLikelyKey(name: string, encoded: string): boolean {
  const plain = decoded(encoded);
  if (plain.length < 44 || plain.length > 2 * KEY_LENGTH || /(?:md5|sha\d+)$/i.test(name)) return false;
  const isPath = plain.startsWith('//') || plain.split('/').length > MOST_SLASHES + 1;
  if (isPath || !isMixed(plain, 8)) return false;
  // The second half of a signature is a number below 2^252 and a little.
  return plain.length !== KEY_LENGTH || Buffer.from(plain, 'base64')[63]! > 0x10;
}

function isMixed(text: string, fewest: number): boolean {
  return text.replace(/[^A-Z]/g, '').length >= fewest && text.replace(/[^a-z]/g, '').length >= fewest;
}

function decoded(text: string): string {
  return text.replace(/%(?:25)*([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** A run that holds a key once, or several times, or what decodes to text that does. */
function keysIn(run: Run): readonly Span[] {
  const { characters, starts, ends } = run;
  const found: Span[] = [];
  let [upper, lower] = [0, 0];
  const count = (at: number, by: number) => {
    const code = characters.charCodeAt(at);
    if (code >= 65 && code <= 90) upper += by;
    else if (code >= 97 && code <= 122) lower += by;
  };
  for (let at = 0; at < Math.min(KEY_LENGTH - 1, characters.length); at++) count(at, 1);
  for (let first = 0, free = 0; first + KEY_LENGTH <= characters.length; first++) {
    const last = first + KEY_LENGTH - 1;
    count(last, 1);
    const mayBe = first >= free && upper >= FEWEST_OF_CASE && lower >= FEWEST_OF_CASE;
    if (mayBe && LAST_CHARACTERS.includes(characters[last]!) && isKey(characters.slice(first, last + 1))) {
      found.push({ start: starts[first]!, end: ends[last]! });
      free = last + 1;
    }
    count(first, -1);
  }
  if (found.length > 0 || !isEncodedKey(characters)) return found;
  return [{ start: starts[0]!, end: ends.at(-1)! }];
}

/** By way of a JWK: Node makes a key of it ten times as fast as of DER, and works out `x` itself. */
function isKey(characters: string): boolean {
  const bytes = Buffer.from(characters, 'base64');
  const [seed, second] = [bytes.subarray(0, 32), bytes.subarray(32)].map((half) => half.toString('base64url'));
  const key = { kty: 'OKP', crv: 'Ed25519', d: seed!, x: second! };
  return createPrivateKey({ key, format: 'jwk' }).export({ format: 'jwk' }).x === second;
}

/** A key file in base 64, as some CI systems want secrets. */
function isEncodedKey(characters: string): boolean {
  if (characters.length < (KEY_LENGTH * 4) / 3 || characters.length > MAX_ENCODED || !isMixed(characters, 24))
    return false;
  return [0, 1, 2, 3].some((skip) => {
    const inner = Buffer.from(characters.slice(skip), 'base64').toString('latin1');
    return runsOf(inner).some((run) => run.characters.length < characters.length && keysIn(run).length > 0);
  });
}

/** The stretches of text that are base 64, long enough for a key: also escaped, or broken into lines. */
function runsOf(text: string): readonly Run[] {
  const runs: Run[] = [];
  let codes: number[] = [];
  let starts: number[] = [];
  let ends: number[] = [];
  const end = () => {
    if (codes.length >= KEY_LENGTH) runs.push({ characters: textOf(codes), starts, ends });
    if (codes.length > 0) [codes, starts, ends] = [[], [], []];
  };
  for (let at = 0; at < text.length; ) {
    let code = text.charCodeAt(at);
    let size = 1;
    if (code === 0x25 || code === 0x5c || code === 0x26) [code, size] = unescapeAt(text, at);
    const kind = code < 128 ? KINDS[code]! : BREAK;
    if (kind === BREAK) end();
    else if (kind !== SKIP) {
      codes.push(kind);
      starts.push(at);
      ends.push(at + size);
    }
    at += size;
  }
  end();
  return runs;
}

function textOf(codes: readonly number[]): string {
  return Buffer.from(codes).toString('latin1');
}

const BREAK = 0;
const SKIP = 1;

/** Of each character: what it is in base 64 (the kind for URLs is the other), or that it ends a run, or does not count. */
const KINDS = Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code);
  if (/[A-Za-z0-9+/]/.test(character)) return code;
  if (character === '-') return 0x2b;
  if (character === '_') return 0x2f;
  // A `?` stands for a line break where text was put in one line.
  return /[\s?]/.test(character) ? SKIP : BREAK;
});

const ESCAPE =
  /%(?:25)*([0-9a-f]{2})|\\+u00([0-9a-f]{2})|\\+x([0-9a-f]{2})|&#x([0-9a-f]{1,4});|&#([0-9]{1,4});|\\+([nrt/])/iy;
const LETTERS: Readonly<Record<string, number>> = { n: 0x0a, r: 0x0d, t: 0x09, '/': 0x2f };

/** The character that an escape stands for, and how long that is; itself where it is none. */
function unescapeAt(text: string, at: number): [code: number, size: number] {
  ESCAPE.lastIndex = at;
  const found = ESCAPE.exec(text);
  if (found === null) return [text.charCodeAt(at), 1];
  const [whole, percent, unicode, short, hex, decimal, letter] = found;
  const digits = percent ?? unicode ?? short ?? hex;
  if (digits !== undefined) return [Number.parseInt(digits, 16), whole.length];
  return [letter === undefined ? Number(decimal) : LETTERS[letter.toLowerCase()]!, whole.length];
}

function padding(text: string, at: number): number {
  return /^(?:=|%(?:25)*3D|\\+u003d|&#x3d;|&#61;){0,2}/i.exec(text.slice(at, at + 40))![0].length;
}
