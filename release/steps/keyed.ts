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

/** Places of a text that are tried: of a lock file with thousands of dependencies most have other versions. */
const MOST_TRIES = 1000;

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
  const wanted = withValue(parse(codec.decodeText(text)), keys, after);
  let tries = 0;
  for (let at = text.indexOf(before); at >= 0 && tries < MOST_TRIES; at = text.indexOf(before, at + 1), tries++) {
    const changed = text.slice(0, at) + after + text.slice(at + before.length);
    if (isDeepStrictEqual(attempt(parse, codec.decodeText(changed)), wanted)) return changed;
  }
  throw new CarportError(
    'E_USAGE',
    `\`${keys.join('.')}\` of \`${file}\` is written in a way that carport does not change`,
    {
      hint: 'name it by the text around it: `match`',
    },
  );
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
