import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { printDerivation } from '#lib/nix/derivation/aterm.js';
import type { Derivation, DerivationOutput } from '#lib/nix/derivation/derivation.js';
import type { PathInfo } from '#lib/nix/narinfo.js';
import { buildClosure } from '#lib/store/build-closure.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { type OwnStore, openOwnStore } from '#lib/store/own-store.js';
import { fileOf, useDirectory } from '../../support/files.js';
import { infoOf, metadataOf, placeTree } from '../../support/own-store.js';
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
  readonly sources?: readonly PathInfo[];
}

/** Puts a derivation into a store. */
function placeDerivation(store: OwnStore, name: string, { outputs, inputs = [], sources = [] }: Recipe) {
  const derivation: Derivation = {
    outputs: new Map(Object.entries(outputs)),
    inputDerivations: new Map(pathsOf(inputs).map((path) => [path, ['out']])),
    inputSources: pathsOf(sources),
    system: 'x86_64-linux',
    builder: '/bin/sh',
    args: [],
    env: new Map(),
  };
  const text = printDerivation(derivation);
  return placeTree(store, pool, `${name}.drv`, fileOf(text), pathsOf([...inputs, ...sources]));
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
    expect((await runtimeClosure(store, [c.path])).missingOutputs).toEqual([]);
    expect(keysOf(await runtimeClosure(store, []))).toEqual([]);
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
  it('of an output alone is its runtime closure', async () => {
    const store = open();
    const a = await place(store, 'a');
    const b = await place(store, 'b', [a]);
    expect(keysOf(await buildClosure(store, [b.path]))).toEqual(pathsOf([a, b]));
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
