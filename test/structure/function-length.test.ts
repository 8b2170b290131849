import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { sources } from '../support/transpile.js';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** Lines of a function, from its name to its last brace, also those of functions in it. */
const MAX_LINES = 60;

describe('the sources', () => {
  it('have no long functions', () => {
    const paths = [...sources()].map((file) => file.slice(TOP.length));
    const found = paths.flatMap((path) => longFunctions(path, readFileSync(join(TOP, path), 'utf8')));
    expect(found).toEqual([]);
  });

  it('are all looked at', () => {
    expect(sources().size).toBeGreaterThan(300);
    expect(sources()).toContain(join(TOP, 'bin/carport.ts'));
  });
});

describe('the check', () => {
  const body = (lines: number) => '\n  work();'.repeat(lines - 2);

  it.each([
    ['functions', (lines: number) => `function f() {${body(lines)}\n}`],
    [
      'functions in functions',
      (lines: number) => `const a = () => {\n  const f = async () => {${body(lines)}\n  }; };`,
    ],
    ['arrows', (lines: number) => `const f = async () => {${body(lines)}\n};`],
    ['generators', (lines: number) => `const a = {\n  *f() {${body(lines)}\n} };`],
    ['methods', (lines: number) => `class A {\n  f() {${body(lines)}\n} }`],
    ['getters', (lines: number) => `const a = {\n  get f() {${body(lines)}\n} };`],
    ['constructors', (lines: number) => `class A {\n  constructor() {${body(lines)}\n} }`],
  ])('finds %s', (_, make) => {
    expect(longFunctions('a.ts', make(MAX_LINES + 1))).not.toEqual([]);
    expect(longFunctions('a.ts', make(MAX_LINES - 2))).toEqual([]);
  });

  it('counts every line, and not those of the comment before it', () => {
    const withLines = (lines: number) =>
      `/**\n * What it does.\n */\nexport function f() {${'\n'.repeat(lines - 1)}}\n`;
    expect(longFunctions('a.ts', withLines(MAX_LINES))).toEqual([]);
    expect(longFunctions('a.ts', withLines(MAX_LINES + 1))).toEqual([`a.ts:4: f has ${MAX_LINES + 1} lines`]);
  });
});

function longFunctions(path: string, text: string): readonly string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1;
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body) {
      const start = lineOf(node.getStart(source));
      const lines = lineOf(node.end) - start + 1;
      if (lines > MAX_LINES)
        found.push(`${path}:${start}: ${node.name?.getText(source) ?? 'a function'} has ${lines} lines`);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
