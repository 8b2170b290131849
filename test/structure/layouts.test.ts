import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** Keys of releases and of their index, or how they begin. */
const RELEASES = /^(_?releases[/.]|carport\/(releases|yanks|promotions|prunings|ledger))|SHA256SUMS/;

/** Keys of caches, how they begin or how they end. */
const CACHE =
  /^(nix-cache-info$|(nar|log|debuginfo|realisations|build-trace-v2)(\/|$)|carport\/(pins|skips|leases|sweeps|stats|tmp))|^\.?(narinfo|ls)$|\.(narinfo|ls)$/;

/** The texts of a module that look so; comments are none. */
function keysIn(text: string, pattern: RegExp): readonly string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      if (pattern.test(node.text)) found.push(node.text);
    }
    if (!ts.isImportDeclaration(node)) ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.ts', text, ts.ScriptTarget.Latest));
  return found;
}

it('finds keys in texts', () => {
  const found = (text: string) => [keysIn(text, RELEASES), keysIn(text, CACHE)];
  expect(found("const a = 'releases/index.json'; // `releases/x`")).toEqual([['releases/index.json'], []]);
  expect(found(`const a = \`releases/${'$'}{version}/SHA256SUMS\`;`)).toEqual([['releases/', '/SHA256SUMS'], []]);
  expect(found("import './releases/x.js'; const a = 'its releases/';")).toEqual([[], []]);
  expect(found(`const a = \`${'$'}{hash}.narinfo\`; // \`x.ls\``)).toEqual([[], ['.narinfo']]);
  expect(found(`const a = [\`nar/${'$'}{hash}.nar\`, 'carport/pins/', 'nix-cache-info'];`)).toEqual([
    [],
    ['nar/', 'carport/pins/', 'nix-cache-info'],
  ]);
  expect(found("import './nar/x.js'; const a = ['narinfo of', 'no `nix-cache-info`', 'tools'];")).toEqual([[], []]);
});

it.each([
  ['releases', RELEASES, ['release', 'index-generator', 'bin'], 'release/layout.ts'],
  ['caches', CACHE, ['cache'], 'cache/layout.ts'],
] as const)('keys of %s stand in one module', (_, pattern, folders, layout) => {
  const modules = folders.flatMap((folder) =>
    readdirSync(join(TOP, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );
  const found = modules.filter((path) => keysIn(readFileSync(join(TOP, path), 'utf8'), pattern).length > 0);
  expect(found).toEqual([layout]);
});
