import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { printDerivation } from '#lib/nix/derivation/aterm.js';
import type { Derivation, DerivationOutput } from '#lib/nix/derivation/derivation.js';
import type { PathInfo } from '#lib/nix/path-info.js';
import { buildClosure } from '#lib/store/build-closure.js';
import { noClosure, runtimeClosure } from '#lib/store/closure.js';
import { type OwnStore, openOwnStore } from '#lib/store/own/own-store.js';
import { fileOf, useDirectory, writeTree } from '../../support/files.js';
import { infoOf, metadataOf, placeTree, writerOf } from '../../support/own-store.js';
import { usePool } from '../../support/pool.js';

const pool = usePool(1);
const directory = useDirectory();
const open = () => openOwnStore(join(directory(), 'store'));
const place = (store: OwnStore, name: string, references: readonly PathInfo[] = []) =>
  placeTree(store, pool, name, fileOf(name), pathsOf(references));
const pathsOf = (infos: readonly PathInfo[]): string[] => infos.map(({ path }) => path).sort();
const keysOf = ({ graph }: { graph: ReadonlyMap<string, PathInfo> }): string[] => [...graph.keys()].sort();

const output = (path: string): DerivationOutput => ({ path, hashAlgorithm: '', hash: '' });
const FLOATING: DerivationOutput = { path: '', hashAlgorithm: 'r:sha256', hash: '' };

interface Recipe {
  readonly outputs: Readonly<Record<string, DerivationOutput>>;
  readonly inputs?: readonly PathInfo[];
  /** Of the inputs; `out` of each where it is not said. */
  readonly used?: readonly string[];
  readonly sources?: readonly PathInfo[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Puts a derivation into a store. */
function placeDerivation(
  store: OwnStore,
  name: string,
  { outputs, inputs = [], used = ['out'], sources = [], env = {} }: Recipe,
) {
  const derivation: Derivation = {
    outputs: new Map(Object.entries(outputs)),
    inputDerivations: new Map(pathsOf(inputs).map((path) => [path, used])),
    inputSources: pathsOf(sources),
    system: 'x86_64-linux',
    builder: '/bin/sh',
    args: [],
    env: new Map(Object.entries(env)),
  };
  const text = printDerivation(derivation);
  return placeTree(store, pool, `${name}.drv`, fileOf(text), pathsOf([...inputs, ...sources]));
}

/** Puts a path into a store that claims to be made by a derivation. */
async function placeMade(
  store: OwnStore,
  name: string,
  deriver: string,
  references: readonly PathInfo[] = [],
): Promise<PathInfo> {
  const info = { ...infoOf(name, fileOf(name), pathsOf(references)), deriver };
  const writer = await writerOf(store, pool);
  const temporary = writer.temporaryName();
  writeTree(temporary, fileOf(name));
  await writer.place(temporary, info);
  return info;
}

describe('the runtime closure', () => {
  it('is everything that the roots refer to', async () => {
    const store = open();
    const a = await place(store, 'a');
    const b = await place(store, 'b', [a]);
    const c = await place(store, 'c', [a, b]);
    await place(store, 'other', [c]);
    expect(keysOf(await runtimeClosure(store, [c.path]))).toEqual(pathsOf([a, b, c]));
    expect(keysOf(await runtimeClosure(store, [a.path, b.path]))).toEqual(pathsOf([a, b]));
    expect(keysOf(await runtimeClosure(store, []))).toEqual([]);
  });

  it('is pinned by the paths that were named, each once, in their order', async () => {
    const store = open();
    const a = await place(store, 'a');
    const b = await place(store, 'b', [a]);
    for (const closure of [runtimeClosure, noClosure]) {
      const { pinned } = await closure(store, [b.path, a.path, b.path]);
      expect(pinned).toEqual({ storePaths: [b.path, a.path], derivations: [] });
    }
  });

  it('needs its roots to be valid', async () => {
    const store = open();
    const { path } = infoOf('missing', fileOf('x'));
    const error = await runtimeClosure(store, [path]).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_NOT_FOUND', message: `\`${path}\` is not valid in ${store.description}` });
    expect(error.hint).toContain('--store ROOT');
  });

  it('needs its references to be valid, and tells who refers to the missing one', async () => {
    const store = open();
    const a = await place(store, 'a');
    const b = await place(store, 'b', [a]);
    const c = await place(store, 'c', [b]);
    rmSync(metadataOf(store, a));
    for (const closure of [runtimeClosure, buildClosure]) {
      const error = await closure(store, [c.path]).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_NOT_FOUND', message: expect.stringContaining(a.path) });
      expect(error.cause.message).toBe(`\`${b.path}\` refers to it`);
    }
  });
});

describe('the build closure', () => {
  it('of a path that nobody is known to have made is its runtime closure, and tells so', async () => {
    const store = open();
    const a = await place(store, 'a');
    const b = await place(store, 'b', [a]);
    const closure = await buildClosure(store, [b.path]);
    expect(keysOf(closure)).toEqual(pathsOf([a, b]));
    expect(closure.missingDerivers).toEqual([{ path: b.path, deriver: undefined, reason: 'unknown' }]);
    expect(closure.pinned).toEqual({ storePaths: [b.path], derivations: [] });
  });

  it('of an output takes along its derivation, and what that needs', async () => {
    const store = open();
    const tool = await place(store, 'tool');
    const toolDrv = await placeDerivation(store, 'tool', { outputs: { out: output(tool.path) } });
    const thing = infoOf('thing', fileOf('thing'));
    const doc = await place(store, 'doc');
    const outputs = { doc: output(doc.path), out: output(thing.path) };
    const drv = await placeDerivation(store, 'thing', { outputs, inputs: [toolDrv] });
    await placeMade(store, 'thing', drv.path);
    const closure = await buildClosure(store, [thing.path]);
    expect(keysOf(closure)).toEqual(pathsOf([tool, toolDrv, thing, doc, drv]));
    expect(closure.missingDerivers).toEqual([]);
    expect(closure.pinned).toEqual({ storePaths: [thing.path], derivations: [drv.path] });
  });

  it('does not follow the derivers of paths that were not named', async () => {
    const store = open();
    const inner = infoOf('inner', fileOf('inner'));
    const innerDrv = await placeDerivation(store, 'inner', { outputs: { out: output(inner.path) } });
    await placeMade(store, 'inner', innerDrv.path);
    const outer = infoOf('outer', fileOf('outer'));
    const drv = await placeDerivation(store, 'outer', { outputs: { out: output(outer.path) }, sources: [inner] });
    await placeMade(store, 'outer', drv.path);
    expect(keysOf(await buildClosure(store, [outer.path]))).toEqual(pathsOf([inner, outer, drv]));
  });

  it('tells that a derivation is not here', async () => {
    const store = open();
    const deriver = infoOf('made.drv', fileOf('gone')).path;
    const made = await placeMade(store, 'made', deriver);
    const closure = await buildClosure(store, [made.path]);
    expect(keysOf(closure)).toEqual([made.path]);
    expect(closure.missingDerivers).toEqual([{ path: made.path, deriver, reason: 'not-here' }]);
  });

  it('takes no derivation along that does not say that it makes the output, since nobody signs who made it', async () => {
    const store = open();
    const secret = await place(store, 'secret');
    const drv = await placeDerivation(store, 'private', { outputs: { out: output(secret.path) } });
    const floating = await placeDerivation(store, 'floating', { outputs: { out: FLOATING }, sources: [secret] });
    const mixed = await placeDerivation(store, 'mixed', { outputs: { lib: output(secret.path), out: FLOATING } });
    for (const [deriver, reason] of [
      [drv, 'makes-others'],
      [floating, 'does-not-tell'],
      [mixed, 'does-not-tell'],
      [secret, 'unknown'],
    ] as const) {
      const made = await placeMade(store, `of-${deriver.path.slice(44)}-output`, deriver.path);
      const closure = await buildClosure(store, [made.path]);
      expect(keysOf(closure)).toEqual([made.path]);
      expect(closure.missingDerivers).toEqual([{ path: made.path, deriver: deriver.path, reason }]);
      expect(closure.pinned).toEqual({ storePaths: [made.path], derivations: [] });
    }
  });

  it('misses no derivation that was named beside its output, whatever it tells', async () => {
    const store = open();
    const floating = await placeDerivation(store, 'floating', { outputs: { out: FLOATING } });
    const made = await placeMade(store, 'made', floating.path);
    const closure = await buildClosure(store, [made.path, floating.path]);
    expect(keysOf(closure)).toEqual(pathsOf([made, floating]));
    expect(closure.missingDerivers).toEqual([]);
    expect(closure.pinned.derivations).toEqual([floating.path]);
  });

  it('is pinned by the outputs of the derivations that were named, or by those without any', async () => {
    const store = open();
    const [out, dev, gone] = [await place(store, 'out'), await place(store, 'dev'), infoOf('gone', fileOf('gone'))];
    const first = await placeDerivation(store, 'first', {
      outputs: { dev: output(dev.path), gone: output(gone.path), out: output(out.path) },
    });
    const none = await placeDerivation(store, 'none', { outputs: { out: FLOATING } });
    const { pinned } = await buildClosure(store, [none.path, first.path, dev.path, none.path]);
    expect(pinned).toEqual({
      storePaths: [none.path, out.path, dev.path],
      derivations: [none.path, first.path],
    });
  });

  it('is pinned by outputs in the order of the expression: the default first', async () => {
    const store = open();
    const [out, bin, dev] = [await place(store, 'out'), await place(store, 'bin'), await place(store, 'dev')];
    const drv = await placeDerivation(store, 'tool', {
      outputs: { bin: output(bin.path), dev: output(dev.path), out: output(out.path) },
      env: { outputs: 'dev out bin' },
    });
    const { pinned } = await buildClosure(store, [drv.path]);
    expect(pinned.storePaths).toEqual([dev.path, out.path, bin.path]);
  });

  it('takes the outputs of each derivation, and what those refer to', async () => {
    const store = open();
    const library = await place(store, 'library');
    const tool = await place(store, 'tool', [library]);
    const source = await place(store, 'source');
    const toolDrv = await placeDerivation(store, 'tool', { outputs: { out: output(tool.path) } });
    const out = await place(store, 'out');
    const drv = await placeDerivation(store, 'thing', {
      outputs: { out: output(out.path) },
      inputs: [toolDrv],
      sources: [source],
    });
    const closure = await buildClosure(store, [drv.path]);
    expect(keysOf(closure)).toEqual(pathsOf([library, tool, source, toolDrv, out, drv]));
    expect(closure.missingOutputs).toEqual([]);
  });

  it('reads derivations that an output refers to, however deep', async () => {
    const store = open();
    const last = await place(store, 'last');
    const lastDrv = await placeDerivation(store, 'last', { outputs: { out: output(last.path) } });
    const middle = await place(store, 'middle', [lastDrv]);
    const middleDrv = await placeDerivation(store, 'middle', { outputs: { out: output(middle.path) } });
    const first = await place(store, 'first', [middleDrv]);
    expect(keysOf(await buildClosure(store, [first.path]))).toEqual(pathsOf([last, lastDrv, middle, middleDrv, first]));
  });

  it('tells exactly which outputs are not there', async () => {
    const store = open();
    const out = await place(store, 'out');
    const dev = infoOf('dev', fileOf('dev'));
    const inner = infoOf('inner', fileOf('inner'));
    const innerDrv = await placeDerivation(store, 'inner', { outputs: { out: output(inner.path) } });
    const drv = await placeDerivation(store, 'thing', {
      outputs: { dev: output(dev.path), out: output(out.path), unknown: FLOATING },
      inputs: [innerDrv],
    });
    const closure = await buildClosure(store, [drv.path]);
    expect(keysOf(closure)).toEqual(pathsOf([out, innerDrv, drv]));
    const missing = [...closure.missingOutputs].sort((a, b) => (a.output < b.output ? -1 : 1));
    expect(missing).toEqual([
      { derivation: drv.path, output: 'dev', path: dev.path },
      { derivation: innerDrv.path, output: 'out', path: inner.path },
      { derivation: drv.path, output: 'unknown', path: undefined },
    ]);
  });

  it('does not count an output as missing that another root brings along', async () => {
    const store = open();
    const out = await place(store, 'out');
    const drv = await placeDerivation(store, 'thing', { outputs: { out: output(out.path) } });
    const closure = await buildClosure(store, [drv.path, out.path]);
    expect(keysOf(closure)).toEqual(pathsOf([drv, out]));
    expect(closure.missingOutputs).toEqual([]);
  });

  it('tells which derivation cannot be read', async () => {
    const store = open();
    const info = await placeTree(store, pool, 'bad.drv', fileOf('not a derivation'));
    const error = await buildClosure(store, [info.path]).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'E_FORMAT', message: `the derivation \`${info.path}\` cannot be read` });
    expect(error.cause.message).toContain('expected `Derive(`');
  });
});

describe('the closure of a toolchain', () => {
  const toolchain = (store: OwnStore, roots: readonly PathInfo[]) =>
    buildClosure(
      store,
      roots.map(({ path }) => path),
      { toolchainOnly: true },
    );

  /** `app` is built with the outputs `out` and `lib` of `compiler`, which has a third, and from a source. */
  async function makeApp(store: OwnStore) {
    const library = await place(store, 'library');
    const libraryDrv = await placeDerivation(store, 'library', { outputs: { out: output(library.path) } });
    const [compiler, lib, doc] = [
      await place(store, 'compiler', [library]),
      await place(store, 'lib'),
      await place(store, 'doc'),
    ];
    const compilerDrv = await placeDerivation(store, 'compiler', {
      outputs: { doc: output(doc.path), lib: output(lib.path), out: output(compiler.path) },
      inputs: [libraryDrv],
    });
    const source = await place(store, 'source');
    const onlyOfApp = await place(store, 'only-of-app');
    const app = infoOf('app', fileOf('app'), [onlyOfApp.path, library.path]);
    const drv = await placeDerivation(store, 'app', {
      ...{ outputs: { out: output(app.path) }, inputs: [compilerDrv], used: ['lib', 'out'], sources: [source] },
    });
    await placeMade(store, 'app', drv.path, [onlyOfApp, library]);
    const rest = [library, libraryDrv, compiler, lib, doc, compilerDrv, source, drv];
    return { app, drv, compiler, lib, compilerDrv, rest };
  }

  it('leaves out what is built in the end, and what only that refers to', async () => {
    const store = open();
    const { app, drv, compiler, lib, rest } = await makeApp(store);
    for (const root of [drv, app]) {
      const closure = await toolchain(store, [root]);
      expect(keysOf(closure)).toEqual(pathsOf(rest));
      expect(closure.pinned).toEqual({ storePaths: [compiler.path, lib.path], derivations: [drv.path] });
      expect([closure.missingOutputs, closure.neededOutputs, closure.missingDerivers]).toEqual([[], [], []]);
    }
  });

  it('does not miss what it leaves out', async () => {
    const store = open();
    const app = infoOf('app', fileOf('never built'));
    const drv = await placeDerivation(store, 'app', { outputs: { lib: FLOATING, out: output(app.path) } });
    const closure = await toolchain(store, [drv]);
    expect(keysOf(closure)).toEqual([drv.path]);
    expect(closure.missingOutputs).toEqual([]);
    // There is nothing to run: what is pinned is what it is about.
    expect(closure.pinned).toEqual({ storePaths: [drv.path], derivations: [drv.path] });
  });

  it('keeps the outputs that another derivation needs, and tells which', async () => {
    const store = open();
    const { app, drv, compiler, lib, compilerDrv, rest } = await makeApp(store);
    const closure = await toolchain(store, [drv, compilerDrv]);
    const doc = rest.find(({ path }) => path.endsWith('-doc'))!;
    expect(keysOf(closure)).toEqual(pathsOf(rest.filter((info) => info !== doc)));
    expect(closure.neededOutputs).toEqual([
      { derivation: compilerDrv.path, output: 'lib', path: lib.path },
      { derivation: compilerDrv.path, output: 'out', path: compiler.path },
    ]);
    expect(closure.graph.has(app.path)).toBe(false);
    expect(closure.pinned.derivations).toEqual([drv.path, compilerDrv.path]);
  });

  it('tells of a needed output that it is not here', async () => {
    const store = open();
    const { drv, lib, compilerDrv } = await makeApp(store);
    rmSync(metadataOf(store, lib));
    const closure = await toolchain(store, [compilerDrv, drv]);
    expect(closure.missingOutputs).toEqual([{ derivation: compilerDrv.path, output: 'lib', path: lib.path }]);
  });

  it('is not known of a path of which the derivation is not known', async () => {
    const store = open();
    const stray = await place(store, 'stray');
    const gone = await placeMade(store, 'made', infoOf('made.drv', fileOf('gone')).path);
    const drv = await placeDerivation(store, 'other', { outputs: { out: output(stray.path) } });
    const other = await placeMade(store, 'other', drv.path);
    const floating = await placeDerivation(store, 'floating', { outputs: { out: FLOATING } });
    const untold = await placeMade(store, 'untold', floating.path);
    for (const [path, reason] of [
      [stray, 'not known which derivation'],
      [gone, `not valid here: \`${gone.deriver}\``],
      [other, `makes other paths: \`${drv.path}\``],
      [untold, `does not tell what it makes, since its outputs are content-addressed: \`${floating.path}\``],
    ] as const) {
      const error = await toolchain(store, [path]).catch((failure) => failure);
      expect(error).toMatchObject({ code: 'E_NOT_FOUND', message: expect.stringContaining(path.path) });
      expect(error.cause.message).toContain(reason);
      expect(error.hint).toContain('nix-instantiate');
    }
  });
});
