import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildClosure } from '#lib/store/build-closure.js';
import { runtimeClosure } from '#lib/store/closure.js';
import { openNixStore } from '#lib/store/nix/store.js';
import type { Store } from '#lib/store/store.js';
import { createNixStore, describeWithNix, type NixStore } from '../../support/nix.js';

/** `run { name = …; }` is a derivation that runs a script. */
const PRELUDE = `
  let
    run = { name, script, ... }@args: derivation ({
      system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
    } // removeAttrs args [ "script" ]);
    source = builtins.path { name = "source"; path = SOURCE; };
    text = builtins.toFile "text" "text, and \${source}";
    flat = run {
      name = "flat"; script = "echo fixed > $out";
      outputHashMode = "flat"; outputHashAlgo = "sha256";
      outputHash = builtins.hashString "sha256" "fixed\\n";
    };
    recursive = run {
      name = "recursive"; script = "echo fixed > $out";
      outputHashMode = "recursive"; outputHashAlgo = "sha256";
      outputHash = "RECURSIVE";
    };
    tool = run { name = "tool"; script = "echo \${text} > $out"; };
    several = run {
      name = "several"; outputs = [ "out" "dev" "doc" ];
      script = ": \${recursive}; echo \${tool} > $out; echo $out \${flat} > $dev; echo docs > $doc";
    };
    user = run { name = "user"; script = ": \${several.dev}; echo \${several} $out > $out"; };
    floating = run {
      name = "floating"; script = "echo \${tool} > $out";
      __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256";
    };
    unbuilt = run { name = "unbuilt"; outputs = [ "out" "lib" ]; script = ": \${user}; exit 1"; };
  in `;

describeWithNix('closures in the store of real Nix', () => {
  let nix: NixStore;
  let store: Store;
  let prelude: string;
  const outOf: Record<string, string> = {};
  const drvOf: Record<string, string> = {};

  const build = async (expression: string) => (await nix.build(prelude + expression)) as [string, ...string[]];
  const instantiate = (name: string) => nix.run('nix-instantiate', ['--quiet', '-E', prelude + name]);
  const nixClosure = async (...args: string[]) => (await nix.run('nix-store', ['-qR', ...args])).split('\n').sort();
  const keysOf = ({ graph }: { graph: ReadonlyMap<string, unknown> }) => [...graph.keys()].sort();

  beforeAll(async () => {
    nix = await createNixStore();
    store = (await openNixStore(nix.env))!;
    writeFileSync(join(nix.root, 'source'), 'the source');
    writeFileSync(join(nix.root, 'fixed'), 'fixed\n');
    const recursiveHash = await nix.run('nix-hash', ['--type', 'sha256', '--base32', join(nix.root, 'fixed')]);
    prelude = PRELUDE.replace('SOURCE', join(nix.root, 'source')).replace('RECURSIVE', recursiveHash);
    for (const name of ['several', 'user', 'floating']) [outOf[name]] = await build(name);
    for (const name of ['flat', 'recursive', 'tool', 'several', 'user', 'floating', 'unbuilt']) {
      drvOf[name] = (await instantiate(name)).replace(/!.*/, '');
    }
  });
  afterAll(() => nix.remove());

  it.each(['several', 'user', 'floating'])('the runtime closure of `%s` is Nix’s', async (name) => {
    const closure = await runtimeClosure(store, [outOf[name]!]);
    expect(keysOf(closure)).toEqual(await nixClosure(outOf[name]!));
    expect(closure.graph.size).toBeGreaterThan(2);
  });

  it.each(['tool', 'several', 'user', 'unbuilt'])(
    'the runtime closure of the derivation `%s` is Nix’s',
    async (name) => {
      expect(keysOf(await runtimeClosure(store, [drvOf[name]!]))).toEqual(await nixClosure(drvOf[name]!));
    },
  );

  it.each(['flat', 'recursive', 'tool', 'several', 'user'])('the build closure of `%s` is Nix’s', async (name) => {
    const closure = await buildClosure(store, [drvOf[name]!]);
    expect(keysOf(closure)).toEqual(await nixClosure('--include-outputs', drvOf[name]!));
    expect(closure.missingOutputs).toEqual([]);
  });

  it('the build closure of several derivations is Nix’s', async () => {
    const roots = [drvOf.tool!, drvOf.several!, drvOf.recursive!];
    expect(keysOf(await buildClosure(store, roots))).toEqual(await nixClosure('--include-outputs', ...roots));
  });

  it('the build closure of an output is that of its derivation', async () => {
    const closure = await buildClosure(store, [outOf.user!]);
    expect(keysOf(closure)).toEqual(await nixClosure('--include-outputs', drvOf.user!));
    expect(closure.missingDerivers).toEqual([]);
    expect(closure.pinned).toEqual({ storePaths: [outOf.user], derivations: [drvOf.user] });
  });

  it('the build closure of what is not built holds its inputs, and tells which outputs are missing', async () => {
    const drv = drvOf.unbuilt!;
    const closure = await buildClosure(store, [drv]);
    expect(keysOf(closure)).toEqual(await nixClosure('--include-outputs', drv));
    expect(closure.graph.has(outOf.user!)).toBe(true);
    // In the order of their names, which Nix does not keep.
    const paths = (await nix.run('nix-store', ['-q', '--outputs', drv])).split('\n');
    const pathOf = (ending: string) => paths.find((path) => path.endsWith(ending));
    expect(closure.missingOutputs).toEqual([
      { derivation: drv, output: 'lib', path: pathOf('-unbuilt-lib') },
      { derivation: drv, output: 'out', path: pathOf('-unbuilt') },
    ]);
  });

  it('the build closure of a floating derivation has its output, which Nix knows', async () => {
    const drv = drvOf.floating!;
    const closure = await buildClosure(store, [drv]);
    expect(closure.missingOutputs).toEqual([]);
    expect(keysOf(closure)).toEqual(await nixClosure('--include-outputs', drv));
    expect(keysOf(closure)).toContain(outOf.floating);
    // The deriver of such an output is another: the derivation with its inputs resolved.
    const deriver = await nix.run('nix-store', ['-q', '--deriver', outOf.floating!]);
    expect(deriver).not.toBe(drv);
    const withOutput = await buildClosure(store, [drv, outOf.floating!]);
    expect(keysOf(withOutput)).toEqual(await nixClosure('--include-outputs', drv, outOf.floating!));
    expect(withOutput.missingDerivers).toEqual([]);
  });

  it('the build closure after some outputs were deleted tells exactly which', async () => {
    const outputs = (await nix.run('nix-store', ['-q', '--outputs', drvOf.several!])).split('\n');
    const deleted = outputs.filter((path) => /-(dev|doc)$/.test(path)).sort();
    await nix.run('nix-store', ['--delete', ...deleted]);
    const closure = await buildClosure(store, [drvOf.user!]);
    expect(keysOf(closure)).toEqual(await nixClosure('--include-outputs', drvOf.user!));
    expect(closure.missingOutputs).toEqual(
      ['dev', 'doc'].map((output) => ({
        derivation: drvOf.several,
        output,
        path: deleted.find((path) => path.endsWith(`-${output}`)),
      })),
    );
    expect(closure.graph.has(outOf.several!)).toBe(true);
  });

  it('a path that is not valid is an error', async () => {
    const path = `/nix/store/${'0'.repeat(32)}-invalid`;
    for (const closure of [runtimeClosure, buildClosure]) {
      const error = await closure(store, [path, outOf.user!]).catch((reason) => reason);
      expect(error).toMatchObject({ code: 'E_NOT_FOUND' });
      expect(error.message).toBe(`\`${path}\` is not valid in the system's Nix store`);
    }
  });
});
