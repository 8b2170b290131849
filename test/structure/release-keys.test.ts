import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** Keys of releases and of their index, or how they begin. */
const KEY = /^(_?releases[/.]|carport\/(releases|yanks|promotions|prunings|ledger))|SHA256SUMS/;

/** The texts of a module that look so; comments are none. */
function keysIn(text: string): readonly string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      if (KEY.test(node.text)) found.push(node.text);
    }
    if (!ts.isImportDeclaration(node)) ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.ts', text, ts.ScriptTarget.Latest));
  return found;
}

it('finds keys in texts', () => {
  expect(keysIn("const a = 'releases/index.json'; // `releases/x`")).toEqual(['releases/index.json']);
  expect(keysIn(`const a = \`releases/${'$'}{version}/SHA256SUMS\`;`)).toEqual(['releases/', '/SHA256SUMS']);
  expect(keysIn("import './releases/x.js'; const a = 'its releases/';")).toEqual([]);
});

it('keys of releases stand in release/layout.ts only', () => {
  const modules = ['release', 'index-generator', 'bin'].flatMap((folder) =>
    readdirSync(join(TOP, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  expect(modules).toContain('release/layout.ts');
  const found = modules.filter((path) => keysIn(readFileSync(join(TOP, path), 'utf8')).length > 0);
  expect(found).toEqual(['release/layout.ts']);
});
