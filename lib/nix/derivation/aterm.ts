/** Derivations as the text of `.drv` files. */

import { formatError } from '../../errors.js';
import { isStorePath, isStorePathName, storeDirOf } from '../store-path.js';
import { type ByteString, compareBytes, type Derivation, type DerivationOutput } from './derivation.js';

const WHAT = 'derivation';
const UNESCAPED: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/**
 * Parses a `.drv` file (libstore/derivations.cc) of an untrusted source. `text` has one character a byte. Keys that are
 * not in strict bytewise order, paths that are no store paths and trailing bytes are refused, so that printing gives the
 * same bytes.
 */
export function parseDerivation(text: ByteString): Derivation {
  const reader = createReader(text);
  if (text.startsWith('DrvWithVersion(')) throw formatError(WHAT, 'dynamic derivations are not supported');
  reader.expect('Derive(');
  const outputs = sortedMap(
    reader.list(() => parseOutput(reader)),
    'outputs',
  );
  reader.expect(',');
  const inputDerivations = sortedMap(
    reader.list(() => parseInput(reader)),
    'input derivations',
  );
  reader.expect(',');
  const inputSources = sorted(reader.list(reader.path), 'input sources');
  reader.expect(',');
  const system = reader.string();
  reader.expect(',');
  const builder = reader.string();
  reader.expect(',');
  const args = reader.list(reader.string);
  reader.expect(',');
  const env = sortedMap(
    reader.list(() => parsePair(reader)),
    'environment variables',
  );
  reader.expect(')');
  reader.end();
  if (outputs.size === 0) throw formatError(WHAT, 'has no outputs');
  return { outputs, inputDerivations, inputSources, system, builder, args, env };
}

/** What the beginning of a `.drv` file tells. */
export interface DerivationGlance {
  /** Whether it has the path or the hash of each output: what no realisation has to tell. */
  readonly isTold: boolean;
  readonly hasInputDerivations: boolean;
}

const BEGINNING = /^Derive\(\[((?:,?\("[^"\\]*","[^"\\]*","[^"\\]*","[^"\\]*"\))+)\],\[([(\]])/;

/**
 * Looks at the beginning of a `.drv` file, which need not be a good one; `undefined` where that does not tell. Reading all of one
 * with thousands of inputs takes a hundred times as long.
 */
export function glanceAtDerivation(text: ByteString): DerivationGlance | undefined {
  const [, outputs, next] = BEGINNING.exec(text) ?? [];
  return outputs === undefined
    ? undefined
    : { isTold: !/\("[^"]*","",/.test(outputs), hasInputDerivations: next === '(' };
}

/** Prints a derivation as Nix does; one character a byte. */
export function printDerivation(derivation: Derivation): ByteString {
  const outputs = entriesInOrder(derivation.outputs).map(
    ([name, { path, hashAlgorithm, hash }]) => `(${[name, path, hashAlgorithm, hash].map(quote).join(',')})`,
  );
  const inputs = entriesInOrder(derivation.inputDerivations).map(
    ([path, names]) => `(${quote(path)},${list([...names].sort(compareBytes).map(quote))})`,
  );
  const env = entriesInOrder(derivation.env).map(([key, value]) => `(${quote(key)},${quote(value)})`);
  const parts = [
    list(outputs),
    list(inputs),
    list([...derivation.inputSources].sort(compareBytes).map(quote)),
    quote(derivation.system),
    quote(derivation.builder),
    list(derivation.args.map(quote)),
    list(env),
  ];
  return `Derive(${parts.join(',')})`;
}

function entriesInOrder<T>(map: ReadonlyMap<ByteString, T>): [ByteString, T][] {
  return [...map].sort(([a], [b]) => compareBytes(a, b));
}

function list(items: readonly string[]): string {
  return `[${items.join(',')}]`;
}

function quote(text: ByteString): string {
  return `"${text.replace(/["\\\n\r\t]/g, (char) => `\\${{ '\n': 'n', '\r': 'r', '\t': 't' }[char] ?? char}`)}"`;
}

type Reader = ReturnType<typeof createReader>;

function parseOutput(reader: Reader): [ByteString, DerivationOutput] {
  reader.expect('(');
  const name = reader.string();
  if (!isStorePathName(name)) throw formatError(WHAT, `\`${name}\` cannot be the name of an output`);
  reader.expect(',');
  const path = reader.string();
  if (path !== '') checkPath(path);
  reader.expect(',');
  const hashAlgorithm = reader.string();
  reader.expect(',');
  const hash = reader.string();
  reader.expect(')');
  return [name, { path, hashAlgorithm, hash }];
}

function parseInput(reader: Reader): [ByteString, readonly ByteString[]] {
  reader.expect('(');
  const path = reader.path();
  reader.expect(',');
  const outputs = sorted(reader.list(reader.string), `outputs of \`${path}\``);
  reader.expect(')');
  return [path, outputs];
}

function parsePair(reader: Reader): [ByteString, ByteString] {
  reader.expect('(');
  const key = reader.string();
  reader.expect(',');
  const value = reader.string();
  reader.expect(')');
  return [key, value];
}

function createReader(text: ByteString) {
  let position = 0;
  const expect = (token: string): void => {
    if (!text.startsWith(token, position)) throw formatError(WHAT, `expected \`${token}\` at byte ${position}`);
    position += token.length;
  };
  const string = (): ByteString => {
    expect('"');
    let value = '';
    for (;;) {
      const start = position;
      while (position < text.length && text[position] !== '"' && text[position] !== '\\') position++;
      value += text.slice(start, position);
      if (position >= text.length) throw formatError(WHAT, 'a string does not end');
      if (text[position++] === '"') return value;
      const char = UNESCAPED[text[position] ?? ''];
      if (char === undefined) throw formatError(WHAT, `unknown escape at byte ${position - 1}`);
      value += char;
      position++;
    }
  };
  const path = (): ByteString => checkPath(string());
  const items = <T>(item: () => T): T[] => {
    expect('[');
    const values: T[] = [];
    if (text[position] === ']') position++;
    else {
      for (;;) {
        values.push(item());
        if (text[position] === ']') break;
        expect(',');
      }
      expect(']');
    }
    return values;
  };
  const end = (): void => {
    if (position !== text.length) throw formatError(WHAT, 'has bytes after its end');
  };
  return { expect, string, path, list: items, end };
}

function checkPath(path: ByteString): ByteString {
  const storeDir = storeDirOf(path);
  if (!storeDir.startsWith('/') || !isStorePath(path, storeDir)) {
    throw formatError(WHAT, `\`${path}\` is not a store path`);
  }
  return path;
}

function sorted(items: readonly ByteString[], what: string): readonly ByteString[] {
  for (let index = 1; index < items.length; index++) {
    if (items[index - 1]! >= items[index]!) throw formatError(WHAT, `${what} are not sorted`);
  }
  return items;
}

function sortedMap<T>(entries: readonly (readonly [ByteString, T])[], what: string): ReadonlyMap<ByteString, T> {
  sorted(
    entries.map(([key]) => key),
    what,
  );
  return new Map(entries);
}
