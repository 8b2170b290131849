/** Build closures, and toolchains. */

import { CarportError } from '../errors.js';
import type { PathGraph } from '../nix/closure.js';
import { type Derivation, isDerivationPath } from '../nix/derivation/derivation.js';
import type { Realisation } from '../nix/realisation.js';
import { type Closure, checkClosure, checkValid, type Pinned } from './closure.js';
import { readDerivation, realisationsOf } from './realisations.js';
import type { Store } from './store.js';

export interface BuildClosure extends Closure, BuildClosureGaps {}

/** How the paths of a build closure differ from what was asked for. */
export interface BuildClosureGaps {
  /** Outputs that are not valid here and could not be taken along. */
  readonly missingOutputs: readonly OutputOfDerivation[];
  /** Outputs that were named, and whose derivation is not taken along. */
  readonly missingDerivers: readonly MissingDeriver[];
  /** Of a toolchain: outputs of the derivations that were named, which others need. */
  readonly neededOutputs: readonly OutputOfDerivation[];
}

/** An output of a derivation. */
export interface OutputOfDerivation {
  readonly derivation: string;
  readonly output: string;
  /** `undefined` when it is known only after the build. */
  readonly path: string | undefined;
}

export interface MissingDeriver {
  readonly path: string;
  /** The derivation that is said to have made it. */
  readonly deriver: string | undefined;
  /**
   * Why that one is not taken along: nothing is said, or it is not valid here, or it makes other paths, or it does not
   * tell what it makes (floating outputs).
   */
  readonly reason: 'unknown' | 'not-here' | 'makes-others' | 'does-not-tell';
}

export interface BuildClosureOptions {
  /**
   * Leave out the outputs of the derivations that were named, and what only they reach. An output that another
   * derivation of the closure needs stays.
   */
  readonly toolchainOnly?: boolean;
}

/**
 * What it takes to build `roots` without a network: the runtime closure, and for each derivation in it the closures of
 * its valid outputs, until nothing is added (`nix-store -qR --include-outputs`). A root that is an output brings its
 * derivation along; the derivers of other paths do not count.
 */
export async function buildClosure(
  store: Store,
  roots: readonly string[],
  { toolchainOnly = false }: BuildClosureOptions = {},
): Promise<BuildClosure> {
  const named = await nameDerivations(store, roots);
  if (toolchainOnly) checkDerivers(named.missingDerivers);
  const start = toolchainOnly ? named.derivations : [...new Set([...roots, ...named.derivations])];
  const graph = new Map(checkClosure(store, await store.queryClosure(start), start));
  const recipes = new Map<string, Recipe>();
  const finals = new Set(toolchainOnly ? named.derivations : []);
  for (;;) {
    const unread = [...graph.values()].filter(({ path }) => isDerivationPath(path) && !recipes.has(path));
    if (unread.length === 0) break;
    const read = await Promise.all(
      unread.map(async ({ path }) => ({ path, derivation: await readDerivation(store, { path }) })),
    );
    const realised = await realisationsOf(store, read);
    for (const { path, derivation } of read) recipes.set(path, recipeOf(derivation, realised.get(path)));
    const outputs = wantedOutputs(recipes, finals).flatMap(({ path }) => path ?? []);
    for (const [path, info] of await store.queryClosure(outputs.filter((path) => !graph.has(path)))) {
      graph.set(path, info);
    }
    checkClosure(store, graph, []);
  }
  const isHere = ({ path }: OutputOfDerivation) => path !== undefined && graph.has(path);
  return {
    graph,
    pinned: toolchainOnly ? pinToolchain(graph, recipes, named) : pinOutputs(graph, recipes, roots, named),
    missingOutputs: wantedOutputs(recipes, finals).filter((output) => !isHere(output)),
    missingDerivers: named.missingDerivers,
    neededOutputs: [...finals].flatMap((path) => outputsOf(path, recipes)).filter(isHere),
  };
}

/** Of a derivation what matters here: a closure may have thousands, and their environments are large. */
interface Recipe extends Pick<Derivation, 'outputs' | 'inputDerivations'> {
  /** The outputs as the expression has them, the default first; the `.drv` sorts them. */
  readonly order: readonly string[];
}

/** The derivations that roots mean: themselves, or those that made them. */
interface Named {
  readonly derivations: readonly string[];
  readonly missingDerivers: readonly MissingDeriver[];
}

async function nameDerivations(store: Store, roots: readonly string[]): Promise<Named> {
  const outputs = roots.filter((root) => !isDerivationPath(root));
  const infos = await store.queryInfos(outputs);
  checkValid(store, infos, outputs);
  const claimed = [...infos.values()].flatMap(({ deriver }) => deriver ?? []).filter(isDerivationPath);
  const derivers = await store.queryInfos([...new Set(claimed)]);
  const derivations = new Set<string>();
  const missingDerivers: MissingDeriver[] = [];
  const realised = await realisedPaths(store, outputs.length > 0 ? roots.filter(isDerivationPath) : []);
  for (const root of new Set(roots)) {
    // Its derivation is named, too; the deriver of such a path is another, which Nix has made of that.
    if (realised.has(root)) continue;
    const deriver = isDerivationPath(root) ? root : infos.get(root)!.deriver;
    const verdict = isDerivationPath(root) ? 'makes-it' : await judgeDeriver(store, deriver, derivers, root);
    if (verdict === 'makes-it') derivations.add(deriver!);
    // What was named along with its output is taken along whatever it tells.
    else if (verdict !== 'does-not-tell' || !roots.includes(deriver!)) {
      missingDerivers.push({ path: root, deriver, reason: verdict });
    }
  }
  return { derivations: [...derivations], missingDerivers };
}

/** The outputs of valid derivations that only realisations tell. */
async function realisedPaths(store: Store, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const valid = [...(await store.queryInfos(paths)).keys()];
  const read = valid.map(async (path) => ({ path, derivation: await readDerivation(store, { path }) }));
  const realised = [...(await realisationsOf(store, await Promise.all(read))).values()];
  return new Set(realised.flatMap((outputs) => [...outputs.values()].map(({ outPath }) => outPath)));
}

/**
 * Nobody signs a deriver: a cache may have named one that has nothing to do with the path. So the derivation itself must
 * say that it makes the path; one with floating outputs cannot say so.
 */
async function judgeDeriver(
  store: Store,
  deriver: string | undefined,
  derivers: PathGraph,
  path: string,
): Promise<'makes-it' | MissingDeriver['reason']> {
  if (deriver === undefined || !isDerivationPath(deriver)) return 'unknown';
  const info = derivers.get(deriver);
  if (info === undefined) return 'not-here';
  const derivation = await readDerivation(store, info);
  const outputs = [...derivation.outputs.values()];
  if (outputs.some((output) => output.path === path)) return 'makes-it';
  if (outputs.every((output) => output.path !== '')) return 'makes-others';
  const realised = (await realisationsOf(store, [{ path: deriver, derivation }])).get(deriver);
  const isRealised = [...(realised?.values() ?? [])].some(({ outPath }) => outPath === path);
  return isRealised ? 'makes-it' : 'does-not-tell';
}

/** Why the derivation of a path is not known, in words. */
export function describeMissingDeriver({ deriver, reason }: MissingDeriver): string {
  switch (reason) {
    case 'unknown':
      return 'it is not known which derivation made it';
    case 'not-here':
      return `the derivation that made it is not valid here: \`${deriver}\``;
    case 'makes-others':
      return `the derivation that is said to have made it makes other paths: \`${deriver}\``;
    case 'does-not-tell':
      return `the derivation that is said to have made it does not tell what it makes, since its outputs are content-addressed: \`${deriver}\``;
  }
}

function checkDerivers([missing]: readonly MissingDeriver[]): void {
  if (missing === undefined) return;
  throw new CarportError('E_NOT_FOUND', `the toolchain of \`${missing.path}\` is not known`, {
    cause: new Error(describeMissingDeriver(missing)),
    hint: 'name its derivation, which `nix-instantiate` prints',
  });
}

/** The outputs that belong to the closure: of derivations in `finals` those that another derivation needs. */
function wantedOutputs(
  recipes: ReadonlyMap<string, Recipe>,
  finals: ReadonlySet<string>,
): readonly OutputOfDerivation[] {
  const needed = new Set<string>();
  if (finals.size > 0) {
    for (const { inputDerivations } of recipes.values()) {
      for (const [path, outputs] of inputDerivations) for (const output of outputs) needed.add(`${path}!${output}`);
    }
  }
  return [...recipes.keys()].flatMap((path) =>
    outputsOf(path, recipes).filter(({ output }) => !finals.has(path) || needed.has(`${path}!${output}`)),
  );
}

function outputsOf(derivation: string, recipes: ReadonlyMap<string, Recipe>): readonly OutputOfDerivation[] {
  const outputs = [...(recipes.get(derivation)?.outputs ?? [])];
  return outputs.map(([output, { path }]) => ({ derivation, output, path: path || undefined }));
}

/** The outputs of each derivation that was named, or the derivation where none is here; and the paths that were named. */
function pinOutputs(
  graph: PathGraph,
  recipes: ReadonlyMap<string, Recipe>,
  roots: readonly string[],
  { derivations }: Named,
): Pinned {
  const storePaths = roots.flatMap((root) => (isDerivationPath(root) ? outputsOrItself(graph, recipes, root) : [root]));
  return { storePaths: [...new Set(storePaths)], derivations };
}

function outputsOrItself(
  graph: PathGraph,
  recipes: ReadonlyMap<string, Recipe>,
  derivation: string,
): readonly string[] {
  const paths = validPaths(graph, inOrder(outputsOf(derivation, recipes), recipes));
  return paths.length > 0 ? paths : [derivation];
}

/** The outputs that the builds of the named derivations use directly. */
function pinToolchain(graph: PathGraph, recipes: ReadonlyMap<string, Recipe>, { derivations }: Named): Pinned {
  const storePaths = derivations.flatMap((derivation) => {
    const inputs = [...recipes.get(derivation)!.inputDerivations].flatMap(([input, used]) =>
      inOrder(outputsOf(input, recipes), recipes).filter(({ output }) => used.includes(output)),
    );
    const paths = validPaths(graph, inputs);
    return paths.length > 0 ? paths : [derivation];
  });
  return { storePaths: [...new Set(storePaths)], derivations };
}

/** The default output of a derivation first: it is what the first out-link of a pin leads to. */
function inOrder(
  outputs: readonly OutputOfDerivation[],
  recipes: ReadonlyMap<string, Recipe>,
): readonly OutputOfDerivation[] {
  const rank = ({ derivation, output }: OutputOfDerivation) => {
    const { order } = recipes.get(derivation)!;
    return order.includes(output) ? order.indexOf(output) : order.length;
  };
  return [...outputs].sort((a, b) => rank(a) - rank(b));
}

function validPaths(graph: PathGraph, outputs: readonly OutputOfDerivation[]): readonly string[] {
  return outputs.flatMap(({ path }) => (path !== undefined && graph.has(path) ? [path] : []));
}

/** What a realisation tells of an output counts as what the derivation tells. */
function recipeOf(
  { outputs, inputDerivations, env }: Derivation,
  realised: ReadonlyMap<string, Realisation> = new Map(),
): Recipe {
  const told = new Map(
    [...outputs].map(([name, output]) => [name, { ...output, path: realised.get(name)?.outPath ?? output.path }]),
  );
  return { outputs: told, inputDerivations, order: (env.get('outputs') ?? 'out').split(' ') };
}
