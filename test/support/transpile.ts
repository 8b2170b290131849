/**
 * Makes what tests run: each source that is newer than its output is transpiled, without a look at types, which
 * `npm run check` does. Threads and programs cannot load TypeScript.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = join(TOP, 'dist/bundle/');

/** The paths of all sources. */
export function sources(): ReadonlySet<string> {
  return new Set(project().fileNames);
}

/**
 * Transpiles what has changed, and removes what is of no source any more: the program as a build put it together, too, unless nothing
 * has changed since.
 */
export function transpileSources(): void {
  const { options, fileNames } = project();
  const paths = fileNames.map((name) => name.slice(TOP.length));
  // Of one file alone nothing tells that the package has ES modules.
  const one = { ...options, module: ts.ModuleKind.ESNext };
  const changed = paths.filter(isNewer);
  for (const path of changed) transpile(path, one);
  const stale = staleOutputs(join(TOP, 'dist'), new Set(paths.map(outputOf)));
  for (const path of stale) removeOutput(path);
  if (changed.length > 0 || stale.length > 0) rmSync(BUNDLE, { recursive: true, force: true });
}

function project(): ts.ParsedCommandLine {
  const { config } = ts.readConfigFile(join(TOP, 'tsconfig.json'), ts.sys.readFile);
  return ts.parseJsonConfigFileContent(config, ts.sys, TOP);
}

function outputOf(path: string): string {
  return join(TOP, 'dist', path.replace(/\.ts$/, '.js'));
}

function isNewer(path: string): boolean {
  const output = statSync(outputOf(path), { throwIfNoEntry: false });
  return output === undefined || output.mtimeMs < statSync(join(TOP, path)).mtimeMs;
}

function transpile(path: string, compilerOptions: ts.CompilerOptions): void {
  const text = readFileSync(join(TOP, path), 'utf8');
  const output = outputOf(path);
  const { outputText, sourceMapText } = ts.transpileModule(text, { compilerOptions, fileName: join(TOP, path) });
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(output, outputText);
  if (sourceMapText !== undefined) writeFileSync(`${output}.map`, sourceMapText);
}

/** A module that was moved or deleted must not be found any more. */
function staleOutputs(directory: string, outputs: ReadonlySet<string>): readonly string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.js'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !outputs.has(path) && !path.startsWith(BUNDLE));
}

function removeOutput(path: string): void {
  for (const output of [path, `${path}.map`, path.replace(/\.js$/, '.d.ts')]) rmSync(output, { force: true });
}
