import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';
import { type Import, type Module, parseModule, readModule, resolveImport } from '../support/modules.js';

const TOP = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['lib', 'cache', 'image', 'release', 'index-generator', 'bin', 'dev', 'bench', 'tools'];

/** The rule itself is in docs/architecture.md: folders, the upper first; those of one line do not know each other. */
const LAYERS = layersOf(readFileSync(join(TOP, 'docs/architecture.md'), 'utf8'));
const modules = listModules().map((path) => readModule(TOP, path));

/** What `nix/` and `signing/` may take from Node: hashing and signing give the same for the same input. */
const PURE_CRYPTO = ['createHash', 'hash', 'sign', 'verify', 'createPrivateKey', 'createPublicKey', 'KeyObject'];
const PURE_PACKAGES = ['tweetnacl', 'valibot'];
const IMPURE_GLOBALS = [
  ...['process', 'Date', 'performance', 'Math.random', 'crypto', 'console', 'globalThis', 'require', 'fetch', 'Intl'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
];
const SOCKET_MODULES = ['net', 'http', 'https', 'http2', 'tls', 'dgram', 'dns', 'dns/promises', 'inspector'];
const SOCKET_GLOBALS = ['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest'];

/** Where sockets are opened. What only names a type of Node's, or asks whether a text is an address, opens none. */
const MAY_CONNECT = /^(lib\/http|dev|bench)\//;
const HARMLESS_NAMES = ['isIP', 'IncomingHttpHeaders'];

/** Packages that are imported in one module each, which is where what they do is done. */
const IN_ONE_ROOM: Readonly<Record<string, string>> = {
  'p-limit': 'lib/concurrency.ts',
  execa: 'lib/process/run.ts',
  child_process: 'lib/process/child.ts',
};
const MAY_START_PROGRAMS = /^(dev|bench)\//;

/** Source files that a folder holds at most: with more it is a crowd, and wants rooms. */
const MAX_MODULES = 15;

/** Where the file system may be used in a way that blocks: what runs in threads, or is one short step of a command. */
const MAY_BLOCK = /^lib\/(filesystem|workers)\//;

describe('the layers', () => {
  it('has read every module', () => {
    const compiled = compiledFiles();
    expect(modules.map(({ path }) => path)).toEqual(compiled);
    expect(modules.length).toBeGreaterThan(70);
  });

  it('knows the layer of every module', () => {
    expect(modules.filter(({ path }) => rankOf(path) === undefined).map(({ path }) => path)).toEqual([]);
  });

  it('imports downward only', () => {
    expect(modules.flatMap(upwardImports)).toEqual([]);
  });

  it('has no circles of modules', () => {
    expect(circles(modules)).toEqual([]);
  });

  it('keeps lib/nix, lib/signing and lib/python pure', () => {
    expect(modules.filter(({ path }) => /^lib\/(nix|signing|python)\//.test(path)).flatMap(impurities)).toEqual([]);
  });

  it('opens sockets in lib/http only', () => {
    expect(modules.filter(({ path }) => !MAY_CONNECT.test(path)).flatMap(sockets)).toEqual([]);
  });

  it('limits work in lib/concurrency only, and starts programs in lib/process only', () => {
    expect(modules.filter(({ path }) => !MAY_START_PROGRAMS.test(path)).flatMap(outsideOfRooms)).toEqual([]);
  });

  it('has no folder that is a crowd', () => {
    const folders = modules.map(({ path }) => path.slice(0, path.lastIndexOf('/')));
    const crowds = new Set(folders.filter((folder) => folders.filter((each) => each === folder).length > MAX_MODULES));
    expect([...crowds]).toEqual([]);
  });

  it('needs lib only in dev', () => {
    const outside = ({ path, imports }: Module) =>
      imports.filter(({ specifier }) => !/^(dev|lib)\//.test(resolveImport(path, specifier) ?? 'lib/'));
    const found = modules.filter(({ path }) => path.startsWith('dev/'));
    expect(found.flatMap((module) => outside(module).map((each) => describeImport(module, each)))).toEqual([]);
  });

  it('blocks on the file system only where threads run', () => {
    expect(modules.filter(({ path }) => !MAY_BLOCK.test(path)).flatMap(blockingCalls)).toEqual([]);
  });
});

describe('the checks of the layers', () => {
  const upward = (path: string, text: string) => upwardImports(parseModule(path, text)).length;

  it('find upward imports of every form', () => {
    expect(upward('lib/nix/x.ts', "import { a } from '../store/store.js';")).toBe(1);
    expect(upward('lib/nix/x.ts', "import type { A } from '../store/store.js';")).toBe(1);
    expect(upward('lib/nix/x.ts', "export { a } from '../store/store.js';")).toBe(1);
    expect(upward('lib/nix/x.ts', "export * from '../store/store.js';")).toBe(1);
    expect(upward('lib/nix/x.ts', "const a = await import('../store/store.js');")).toBe(1);
    expect(upward('lib/nix/x.ts', "let a: import('../store/store.js').Store;")).toBe(1);
    expect(upward('lib/nix/x.ts', "new Worker(new URL('../workers/worker.js', import.meta.url));")).toBe(1);
    expect(upward('lib/nix/x.ts', "const a = require('../store/store.js');")).toBe(1);
    expect(upward('cache/x.ts', "import '../bin/cli/context.js';")).toBe(1);
    expect(upward('lib/errors.ts', "import './nix/hash.js';")).toBe(1);
  });

  it('find imports between layers of one line, and past the package', () => {
    expect(upward('lib/signing/x.ts', "import '../compression/chunks.js';")).toBe(1);
    expect(upward('lib/store/x.ts', "import '#lib/nix/hash.js';")).toBe(1);
    expect(upward('lib/store/x.ts', "import 'carport/nix';")).toBe(1);
    expect(upward('lib/store/x.ts', "import '../support/nix.js';")).toBe(1);
  });

  it('let downward imports pass', () => {
    expect(upward('bin/push/x.ts', "import '../../cache/open.js'; import '../cli/command.js'; import 'execa';")).toBe(
      0,
    );
    expect(upward('lib/store/x.ts', "import '../nix/hash.js'; import './store.js'; import '../errors.js';")).toBe(0);
  });

  it('refuse imports that cannot be read', () => {
    expect(() => parseModule('lib/x.ts', 'await import(name);')).toThrow('not a literal');
  });

  it('find impurities', () => {
    const found = (text: string) => impurities(parseModule('lib/nix/x.ts', text)).length;
    expect(found("import { readFile } from 'node:fs/promises';")).toBe(1);
    expect(found("import fs from 'fs';")).toBe(1);
    expect(found("import { randomBytes } from 'node:crypto';")).toBe(1);
    expect(found("import crypto from 'node:crypto';")).toBe(1);
    expect(found("import pLimit from 'p-limit';")).toBe(1);
    expect(found('export const now = Date.now();')).toBe(1);
    expect(found('export const at = new Date();')).toBe(1);
    expect(found('export const a = Math.random();')).toBe(1);
    expect(found('export const a = process.env.HOME;')).toBe(1);
    expect(
      found("import { createHash } from 'node:crypto'; import nacl from 'tweetnacl'; export const a = x.process;"),
    ).toBe(0);
    expect(found('export const f = (process: string) => process; export const b = Math.max(1, 2);')).toBe(0);
  });

  it('find sockets and blocking calls', () => {
    expect(sockets(parseModule('lib/x.ts', "import 'node:http';"))).toHaveLength(1);
    expect(sockets(parseModule('lib/x.ts', "await fetch('x');"))).toHaveLength(1);
    expect(blockingCalls(parseModule('cache/x.ts', "import { readFileSync } from 'node:fs';"))).toHaveLength(1);
    expect(blockingCalls(parseModule('cache/x.ts', "import * as fs from 'node:fs';"))).toHaveLength(1);
    expect(blockingCalls(parseModule('cache/x.ts', "import { createReadStream } from 'node:fs';"))).toHaveLength(0);
  });

  it('find limits and programs outside of their rooms', () => {
    const found = (path: string, text: string) => outsideOfRooms(parseModule(path, text)).length;
    expect(found('cache/x.ts', "import pLimit from 'p-limit';")).toBe(1);
    expect(found('lib/process/x.ts', "const { execa } = await import('execa');")).toBe(1);
    expect(found('lib/process/x.ts', "import { spawn } from 'node:child_process';")).toBe(1);
    expect(found('lib/process/x.ts', "import type { ChildProcess } from 'child_process';")).toBe(1);
    expect(found('lib/process/child.ts', "import { spawn } from 'node:child_process';")).toBe(0);
    expect(found('lib/process/child.ts', "import { execa } from 'execa';")).toBe(1);
  });

  it('find circles', () => {
    const a = parseModule('lib/nix/a.ts', "import './b.js';");
    const b = parseModule('lib/nix/b.ts', "import './c.js';");
    const c = (text: string) => parseModule('lib/nix/c.ts', text);
    expect(circles([a, b, c("import './a.js';")])).toHaveLength(1);
    expect(circles([a, b, c("import type { A } from './a.js';")])).toHaveLength(1);
    expect(circles([a, b, c("await import('./a.js');")])).toHaveLength(0);
  });
});

/** The folders that the fenced block `layers` of the architecture lists. `lib` is the files that lie in lib itself. */
function layersOf(text: string): readonly (readonly string[])[] {
  const block = /^```layers\n(.*?)^```$/ms.exec(text)?.[1] ?? '';
  return block
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/));
}

function layerOf(path: string): string | undefined {
  const folder = path.split('/').slice(0, -1);
  const name = folder[0] === 'lib' ? folder.slice(0, 2).join('/') : folder[0];
  return LAYERS.flat().find((layer) => layer === name);
}

function rankOf(path: string): number | undefined {
  const layer = layerOf(path);
  return layer === undefined ? undefined : LAYERS.findIndex((line) => line.includes(layer));
}

function upwardImports(module: Module): readonly string[] {
  return module.imports.filter((each) => isUpward(module.path, each)).map((each) => describeImport(module, each));
}

function isUpward(from: string, { specifier }: Import): boolean {
  // Not by the package's own names: they would lead past this check.
  if (/^(#|carport(\/|$))/.test(specifier)) return true;
  const target = resolveImport(from, specifier);
  if (target === undefined) return false;
  const [own, other] = [rankOf(from), rankOf(target)];
  if (own === undefined || other === undefined) return true;
  return other < own || (other === own && layerOf(from) !== layerOf(target));
}

function impurities(module: Module): readonly string[] {
  const imports = module.imports.filter(({ specifier, names }) => {
    if (specifier.startsWith('.') || PURE_PACKAGES.includes(specifier)) return false;
    return specifier !== 'node:crypto' || !names.every((name) => PURE_CRYPTO.includes(name)) || names.length === 0;
  });
  return [
    ...imports.map((each) => describeImport(module, each)),
    ...IMPURE_GLOBALS.flatMap((name) => describeGlobal(module, name)),
  ];
}

function sockets(module: Module): readonly string[] {
  const imports = module.imports.filter(
    ({ specifier, names }) =>
      SOCKET_MODULES.includes(specifier.replace(/^node:/, '')) &&
      !(names.length > 0 && names.every((name) => HARMLESS_NAMES.includes(name))),
  );
  return [
    ...imports.map((each) => describeImport(module, each)),
    ...SOCKET_GLOBALS.flatMap((name) => describeGlobal(module, name)),
  ];
}

function outsideOfRooms(module: Module): readonly string[] {
  return module.imports
    .filter(({ specifier }) => (IN_ONE_ROOM[specifier.replace(/^node:/, '')] ?? module.path) !== module.path)
    .map((each) => describeImport(module, each));
}

function blockingCalls(module: Module): readonly string[] {
  return module.imports
    .filter(
      ({ specifier, names }) =>
        /^(node:)?fs$/.test(specifier) && names.some((name) => /Sync$|^\*$|^default$/.test(name)),
    )
    .map((each) => describeImport(module, each));
}

/** Circles of imports that are there at load time, or between types. */
function circles(all: readonly Module[]): readonly string[] {
  const byPath = new Map(all.map((module) => [module.path, module]));
  const state = new Map<string, 'open' | 'done'>();
  const found: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    state.set(path, 'open');
    for (const { kind, specifier } of byPath.get(path)?.imports ?? []) {
      const target = resolveImport(path, specifier);
      if (target !== undefined && (kind === 'static' || kind === 'type')) visit(target, [...trail, path]);
    }
    state.set(path, 'done');
  };
  for (const { path } of all) visit(path, []);
  return found;
}

function describeImport({ path }: Module, { specifier, names, line }: Import): string {
  return `${path}:${line}: ${names.join(', ')} from ${specifier}`;
}

function describeGlobal({ path, globals }: Module, name: string): readonly string[] {
  const line = globals.get(name);
  return line === undefined ? [] : [`${path}:${line}: ${name}`];
}

/** By looking into the folders. */
function listModules(): readonly string[] {
  const files = FOLDERS.filter((folder) => existsSync(join(TOP, folder))).flatMap((folder) => {
    const names = readdirSync(join(TOP, folder), { recursive: true, encoding: 'utf8' });
    return names.map((name) => `${folder}/${name.replaceAll('\\', '/')}`);
  });
  return files.filter((path) => path.endsWith('.ts')).sort();
}

/** By asking the compiler. */
function compiledFiles(): readonly string[] {
  const { config } = ts.readConfigFile(join(TOP, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, TOP);
  return fileNames.map((name) => name.slice(TOP.length)).sort();
}
