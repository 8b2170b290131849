/**
 * Makes what tests run: each source that is newer than its output is transpiled, without a look at types, which
 * `npm run check` does. Threads and programs cannot load TypeScript.
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const TOP = fileURLToPath(new URL('../..', import.meta.url));

/** The paths of all sources. */
export function sources(): ReadonlySet<string> {
  return new Set(project().fileNames);
}

/** Transpiles what has changed, and removes what is of no source any more. */
export function transpileSources(): void {
  const { options, fileNames } = project();
  const paths = fileNames.map((name) => name.slice(TOP.length));
  // Of one file alone nothing tells that the package has ES modules.
  const one = { ...options, module: ts.ModuleKind.ESNext };
  for (const path of paths.filter(isNewer)) transpile(path, one);
  removeStale(join(TOP, 'dist'), new Set(paths.map(outputOf)));
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
function removeStale(directory: string, outputs: ReadonlySet<string>): void {
  for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && path.endsWith('.js') && !outputs.has(path)) {
      for (const stale of [path, `${path}.map`, path.replace(/\.js$/, '.d.ts')]) rmSync(stale, { force: true });
    }
  }
}
