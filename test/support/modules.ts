import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/** How one module names another. Only what is loaded together with a module can make a circle of modules. */
export type ImportKind = 'static' | 'type' | 'dynamic' | 'worker';

export interface Import {
  readonly kind: ImportKind;
  /** As it is written: `./key.js`, `node:fs`. */
  readonly specifier: string;
  /** The names that are taken; `*` for all of them, `default` for the default. */
  readonly names: readonly string[];
  readonly line: number;
}

/** What a TypeScript module takes from elsewhere. */
export interface Module {
  /** Relative to the top of the repository, with `/`. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** Free-standing names that it uses and the lines: `Math`, `Math.random`, but not `x.Math` and not what it declares. */
  readonly globals: ReadonlyMap<string, number>;
}

const FOR_BUNDLE = ['lib/workers/bundled/script.ts', 'tools/bundle.ts'];

export function readModule(top: string, path: string): Module {
  return parseModule(path, readFileSync(join(top, path), 'utf8'));
}

export function parseModule(path: string, text: string): Module {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const imports: Import[] = [];
  const globals = new Map<string, number>();
  const lineOf = (node: ts.Node) => source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
  const note = (node: ts.Node, kind: ImportKind, specifier: ts.Node | undefined, names: readonly string[]) => {
    // They import for the bundle, whose modules are looked at one by one.
    if (FOR_BUNDLE.includes(path) && specifier && ts.isIdentifier(specifier)) return;
    if (specifier === undefined || !ts.isStringLiteralLike(specifier)) {
      throw new Error(`${path}:${lineOf(node)}: what it imports is not a literal`);
    }
    imports.push({ kind, specifier: specifier.text, names, line: lineOf(node) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      const kind = node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword ? 'type' : 'static';
      note(node, kind, node.moduleSpecifier, importedNames(node.importClause));
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      note(node, node.isTypeOnly ? 'type' : 'static', node.moduleSpecifier, exportedNames(node.exportClause));
    } else if (ts.isImportEqualsDeclaration(node)) {
      if (ts.isExternalModuleReference(node.moduleReference))
        note(node, 'static', node.moduleReference.expression, ['*']);
    } else if (ts.isImportTypeNode(node)) {
      note(node, 'type', ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, ['*']);
    } else if (ts.isCallExpression(node) && isLoading(node.expression)) {
      note(node, 'dynamic', node.arguments[0], ['*']);
    } else if (isUrlOfThisModule(node)) {
      note(node, 'worker', node.arguments?.[0], []);
    } else if (ts.isIdentifier(node) && isReference(node)) {
      const member = ts.isPropertyAccessExpression(node.parent) ? [`${node.text}.${node.parent.name.text}`] : [];
      for (const name of [node.text, ...member]) if (!globals.has(name)) globals.set(name, lineOf(node));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  for (const name of declaredNames(source)) globals.delete(name);
  return { path, imports, globals };
}

/** The path of the module that a relative specifier means; `undefined` for packages and Node's own modules. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return normalize(join(dirname(from), specifier))
    .replaceAll('\\', '/')
    .replace(/\.js$/, '.ts');
}

function importedNames(clause: ts.ImportClause | undefined): readonly string[] {
  if (clause === undefined) return [];
  const { name, namedBindings: bindings } = clause;
  const named =
    bindings === undefined ? [] : ts.isNamespaceImport(bindings) ? ['*'] : bindings.elements.map(sourceName);
  return [...(name ? ['default'] : []), ...named];
}

function exportedNames(clause: ts.NamedExportBindings | undefined): readonly string[] {
  return clause && ts.isNamedExports(clause) ? clause.elements.map(sourceName) : ['*'];
}

function sourceName({ name, propertyName }: ts.ImportSpecifier | ts.ExportSpecifier): string {
  return (propertyName ?? name).text;
}

/** `import(…)` and `require(…)`. */
function isLoading(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');
}

/** `new URL('./worker.js', import.meta.url)`, where that is a module. */
function isUrlOfThisModule(node: ts.Node): node is ts.NewExpression {
  if (!ts.isNewExpression(node) || node.expression.getText() !== 'URL') return false;
  const [target, base] = node.arguments ?? [];
  return (
    base?.getText() === 'import.meta.url' && !!target && ts.isStringLiteralLike(target) && /\.js$/.test(target.text)
  );
}

/** Whether an identifier stands for a value: not the name of a property, a member, a label or a type. */
function isReference(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.expression === node;
  if (ts.isPropertyAssignment(parent) || ts.isBindingElement(parent)) return parent.initializer === node;
  if (ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent)) return false;
  return !ts.isTypeReferenceNode(parent) && !ts.isTypeElement(parent) && !ts.isClassElement(parent);
}

function declaredNames(source: ts.SourceFile): ReadonlySet<string> {
  const names = new Set<string>();
  const visit = (node: ts.Node): void => {
    const declares =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isImportSpecifier(node) ||
      ts.isImportClause(node) ||
      ts.isNamespaceImport(node);
    if (declares && node.name && ts.isIdentifier(node.name)) names.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return names;
}
