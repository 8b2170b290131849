/** A value of a TOML, JSON or YAML text, and the same text with another in its place. */

import { isDeepStrictEqual } from 'node:util';
import { parse as parseToml } from 'smol-toml';
import { parse as parseYaml } from 'yaml';
import { CarportError } from '../../lib/errors.js';

/** How the bytes of a file are text. */
export interface Codec {
  /** What UTF-8 would be in the text of a file: texts hold bytes, unless the file is UTF-16. */
  encodeText(text: string): string;
  /** The text as people see it. */
  decodeText(text: string): string;
}

interface KeyPlace {
  readonly file: string;
  readonly keys: readonly string[];
}

/** A value, and where. */
export interface Keyed {
  readonly value: string;
}

/** Places that are tried one by one. Each is the whole text parsed again, and more are told apart by halves. */
const MOST_TRIES = 20;

/** The text at a key. Throws `E_USAGE` where there is none, and for a file that is of none of these formats. */
export function parseKeyed({ file, keys }: KeyPlace, text: string, codec: Codec): Keyed {
  const value = valueAt(parserOf(file)(codec.decodeText(text)), keys);
  if (typeof value === 'string') return { value };
  const why = value === undefined ? 'has no key' : 'has no text at the key';
  throw new CarportError('E_USAGE', `\`${file}\` ${why} \`${keys.join('.')}\``, {
    hint: 'a key is named from the outermost table: `key = "project.version"`',
  });
}

/**
 * The text with another value at a key: of all places where the old one stands, that which changes this key and nothing else.
 * Throws `E_USAGE` where there is none, as for a value that is written with escapes.
 */
export function replaceKeyed(
  { file, keys }: KeyPlace,
  text: string,
  codec: Codec,
  change: readonly [string, string],
): string {
  const [before, after] = change;
  const parse = parserOf(file);
  const parsed = parse(codec.decodeText(text));
  const wanted = withValue(parsed, keys, after);
  const replaceAt = (places: readonly number[]) => replacedAt(text, places, change);
  const parseAt = (places: readonly number[]) => attempt(parse, codec.decodeText(replaceAt(places)));
  const places = narrowed(placesOf(text, before), change, (some) => valueAt(parseAt(some), keys));
  for (const at of places.slice(0, MOST_TRIES)) {
    if (isDeepStrictEqual(parseAt([at]), wanted)) return replaceAt([at]);
  }
  const why =
    places.length > MOST_TRIES
      ? `is one of ${places.length} places with \`${before}\`, which carport cannot tell apart`
      : 'is written in a way that carport does not change';
  throw new CarportError('E_USAGE', `\`${keys.join('.')}\` of \`${file}\` ${why}`, {
    hint: 'name it by the text around it: `match`',
  });
}

/** Where a text stands as a word of its own. */
function placesOf(text: string, word: string): readonly number[] {
  const places: number[] = [];
  const isInWord = (at: number) => /[0-9A-Za-z]/.test(text.charAt(at));
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + word.length)) {
    if (!isInWord(at - 1) && !isInWord(at + word.length)) places.push(at);
  }
  return places;
}

function replacedAt(text: string, places: readonly number[], [before, after]: readonly [string, string]): string {
  const ends = places.map((at) => at + before.length);
  return (
    places.map((at, index) => text.slice(ends[index - 1] ?? 0, at) + after).join('') + text.slice(ends.at(-1) ?? 0)
  );
}

/** The half of the places that changes the value, and of that the half, until one is left, or it cannot be told. */
function narrowed(
  places: readonly number[],
  [before, after]: readonly [string, string],
  valueWith: (places: readonly number[]) => unknown,
): readonly number[] {
  let left = places;
  while (left.length > 1) {
    const half = left.slice(0, left.length / 2);
    const value = valueWith(half);
    if (value !== before && value !== after) break;
    left = value === after ? half : left.slice(half.length);
  }
  return left;
}

type Parse = (text: string) => unknown;

function parserOf(file: string): Parse {
  const kind = /\.(toml|json|ya?ml|lock)$/.exec(file.toLowerCase())?.[1];
  const parse: Parse | undefined =
    kind === 'json' ? JSON.parse : kind === 'toml' || kind === 'lock' ? parseToml : kind ? parseYamlText : undefined;
  if (parse === undefined) {
    throw new CarportError('E_USAGE', `\`${file}\` has no keys that carport knows: it reads TOML, JSON and YAML`, {
      hint: 'name the place by the text around it: `match`',
    });
  }
  return (text) => {
    try {
      return parse(text.replace(/^\u{feff}/u, ''));
    } catch (cause) {
      throw new CarportError('E_USAGE', `\`${file}\` cannot be read as what its name says`, { cause });
    }
  };
}

/** Aliases are few: what is made of many of them may be as large as memory. */
function parseYamlText(text: string): unknown {
  return parseYaml(text, { maxAliasCount: 100, schema: 'core' });
}

function attempt(parse: Parse, text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

function valueAt(value: unknown, keys: readonly string[]): unknown {
  let at = value;
  for (const key of keys) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string, unknown>)[key];
  }
  return at;
}

/** A copy that has another text at a key. */
function withValue(value: unknown, [key, ...rest]: readonly string[], text: string): unknown {
  if (key === undefined) return text;
  if (Array.isArray(value))
    return value.map((item, index) => (String(index) === key ? withValue(item, rest, text) : item));
  const table = value as Record<string, unknown>;
  const copy = Object.entries(table).map(([name, item]) => [name, name === key ? withValue(item, rest, text) : item]);
  return Object.setPrototypeOf(Object.fromEntries(copy), Object.getPrototypeOf(table) as object | null);
}
