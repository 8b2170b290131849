/** Lists at the top level of a TOML text, changed as a person would change them: all else stays as it is. Pure. */

import { parse } from 'smol-toml';
import { CarportError } from '../../lib/errors.js';

/** What is to become of a list: a text that it has then, or has not. */
export interface ListChange {
  readonly key: string;
  readonly add?: readonly string[];
  readonly remove?: readonly string[];
}

/**
 * The text with the changes. Comments, order and all other values stay. Throws `E_USAGE` where that cannot be done so that the
 * result says what it should: then a person has to.
 */
export function changeLists(text: string, changes: readonly ListChange[], file: string): string {
  let result = text;
  for (const { key, add = [], remove = [] } of changes) {
    const before = listIn(result, key, file);
    const kept = (before ?? []).filter((item) => !remove.includes(item));
    const after = [...kept, ...add.filter((item) => !kept.includes(item))];
    if (before !== undefined && JSON.stringify(after) === JSON.stringify(before)) continue;
    if (before === undefined && after.length === 0) continue;
    const changed = changeOne(result, key, { before, after });
    if (!says(changed, result, key, after)) throw cannotChange(file, key, after);
    result = changed;
  }
  return result;
}

/** The texts of a list; `undefined` where there is none. Throws `E_USAGE` for what is no TOML, or no list of texts. */
export function listIn(text: string, key: string, file: string): readonly string[] | undefined {
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (cause) {
    throw new CarportError('E_USAGE', `\`${file}\` is not TOML`, { cause, hint: 'mend it first' });
  }
  const value = table[key];
  if (value === undefined) return undefined;
  const items = Array.isArray(value) ? value : [value];
  if (items.every((item) => typeof item === 'string')) return items as string[];
  throw new CarportError('E_USAGE', `\`${key}\` in \`${file}\` is not a list of texts`, { hint: 'mend it first' });
}

interface Lists {
  readonly before: readonly string[] | undefined;
  readonly after: readonly string[];
}

function changeOne(text: string, key: string, { before, after }: Lists): string {
  if (before === undefined) return insertKey(text, `${key} = ${render(after)}\n`);
  const span = spanOf(text, key);
  if (span === undefined) return text;
  const old = text.slice(span.start, span.end);
  const added = after.filter((item) => !before.includes(item));
  const removed = before.filter((item) => !after.includes(item));
  if (old.startsWith('[') && removed.length === 0 && before.length > 0) {
    return text.slice(0, span.start) + appended(old, added) + text.slice(span.end);
  }
  if (old.startsWith('[') && added.length === 0 && after.length > 0) {
    const without = removed.reduce(withoutItem, old);
    return text.slice(0, span.start) + without + text.slice(span.end);
  }
  return text.slice(0, span.start) + render(after) + text.slice(span.end);
}

/** Before the first table: what comes after that is in it. */
function insertKey(text: string, line: string): string {
  const table = /^[ \t]*\[/m;
  for (const [start] of topLevelLines(text)) {
    if (table.test(text.slice(start).split('\n', 1)[0]!)) return `${text.slice(0, start)}${line}\n${text.slice(start)}`;
  }
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}`;
}

/** A list with more at its end, in the lines that it has. */
function appended(old: string, items: readonly string[]): string {
  const more = items.map((item) => JSON.stringify(item));
  const last = [...tokens(old)].filter(({ kind }) => kind === 'text' || kind === 'comma').at(-1)!;
  const rest = old.slice(last.end);
  const comma = last.kind === 'comma' ? '' : ',';
  const lines = old.split('\n');
  if (lines.length === 1) {
    const end = rest.trimStart();
    return `${old.slice(0, last.end)}${comma} ${more.join(', ')}${last.kind === 'comma' ? ',' : ''}${end === ']' ? ']' : rest}`;
  }
  const indent = /^[ \t]*/.exec(lines[1]!)![0] || '  ';
  return `${old.slice(0, last.end)}${comma}${rest.slice(0, -1).trimEnd()}\n${more.map((item) => `${indent}${item},\n`).join('')}]`;
}

/** A list without a text, the comma behind it or before it, and the line where it was alone. */
function withoutItem(old: string, item: string): string {
  const all = [...tokens(old)];
  const index = all.findIndex(({ kind, start, end }) => kind === 'text' && textOf(old.slice(start, end)) === item);
  if (index < 0) return old;
  const { start, end } = all[index]!;
  const after = all.slice(index + 1).find(({ kind }) => kind !== 'comment');
  const before = all.slice(0, index).findLast(({ kind }) => kind !== 'comment');
  const isLast = after?.kind !== 'comma';
  const from =
    isLast && before?.kind === 'comma' && !old.slice(before.end, start).includes('\n') ? before.start : start;
  const to = isLast ? end : after.end;
  const lineStart = old.lastIndexOf('\n', from - 1) + 1;
  const rest = /^[ \t]*(#[^\n]*)?\n/.exec(old.slice(to));
  if (rest && lineStart > 0 && old.slice(lineStart, from).trim() === '') {
    return old.slice(0, lineStart) + old.slice(to + rest[0].length);
  }
  return old.slice(0, from) + old.slice(to).replace(/^ +/, from === start ? '' : '$&');
}

function textOf(literal: string): unknown {
  try {
    return parse(`x = ${literal}`).x;
  } catch {
    return undefined;
  }
}

/** Where the value of a key stands. */
function spanOf(text: string, key: string): { readonly start: number; readonly end: number } | undefined {
  const name = new RegExp(`^[ \\t]*(?:${key}|"${key}"|'${key}')[ \\t]*=[ \\t]*`);
  for (const [start, end] of topLevelLines(text)) {
    const head = name.exec(text.slice(start, end));
    if (head === null) continue;
    const from = start + head[0].length;
    const values = [...tokens(text.slice(from, end))].filter(({ kind }) => kind !== 'comment');
    const last = values.at(-1);
    return last === undefined ? undefined : { start: from, end: from + last.end };
  }
  return undefined;
}

/** Where statements begin and end, before the first table and beyond; a value may have several lines. */
function* topLevelLines(text: string): Generator<readonly [start: number, end: number]> {
  for (let start = 0; start < text.length; ) {
    let depth = 0;
    let end = text.length;
    for (const { kind, start: at } of tokens(text.slice(start))) {
      if (kind === 'open') depth++;
      else if (kind === 'close') depth--;
      else if (kind === 'newline' && depth <= 0) {
        end = start + at;
        break;
      }
    }
    yield [start, end];
    start = end + 1;
  }
}

interface Token {
  readonly kind: 'text' | 'comment' | 'open' | 'close' | 'comma' | 'newline' | 'other';
  readonly start: number;
  readonly end: number;
}

const TOKEN =
  /(?<text>"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:\\.|[^"\\\n])*"|'[^'\n]*')|(?<comment>#[^\n]*)|(?<open>[[{])|(?<close>[\]}])|(?<comma>,)|(?<newline>\n)|(?<other>[^\s"'#[\]{},]+)/g;

/** The tokens of a piece of TOML, as far as lists need them. */
function* tokens(text: string): Generator<Token> {
  for (const match of text.matchAll(TOKEN)) {
    const [kind] = Object.entries(match.groups!).find(([, found]) => found !== undefined)!;
    yield { kind: kind as Token['kind'], start: match.index, end: match.index + match[0].length };
  }
}

function render(items: readonly string[]): string {
  return `[${items.map((item) => JSON.stringify(item)).join(', ')}]`;
}

/** Whether a text has this list, and all else as another text. */
function says(text: string, other: string, key: string, list: readonly string[]): boolean {
  try {
    const [{ [key]: value, ...rest }, { [key]: _, ...otherRest }] = [parse(text), parse(other)];
    return JSON.stringify(value) === JSON.stringify(list) && JSON.stringify(rest) === JSON.stringify(otherRest);
  } catch {
    return false;
  }
}

function cannotChange(file: string, key: string, list: readonly string[]): CarportError {
  return new CarportError('E_USAGE', `\`${key}\` in \`${file}\` is written in a way that carport does not change`, {
    hint: `write it yourself: \`${key} = ${render(list)}\``,
  });
}
