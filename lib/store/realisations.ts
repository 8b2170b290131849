/** Realisations of what is in a store: which paths the outputs are that no derivation tells. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mapAtMost } from '../concurrency.js';
import { CarportError } from '../errors.js';
import { isThere, namesIn } from '../filesystem/exists.js';
import { glanceAtDerivation, parseDerivation } from '../nix/derivation/aterm.js';
import { type Derivation, isDerivationPath } from '../nix/derivation/derivation.js';
import { createRealisationHashes } from '../nix/derivation/modulo.js';
import type { PathInfo } from '../nix/path-info.js';
import { type Realisation, realisationId, type TracedOutput, tracedOutputOf } from '../nix/realisation.js';
import { baseNameOf, nameOf, storeDirOf } from '../nix/store-path.js';
import type { Closure } from './closure.js';
import type { Store } from './store.js';

/** Derivations that are read at a time. */
const AT_ONCE = 64;

/** What is pushed of one. */
export interface FoundRealisation extends Realisation {
  /** What Nix 2.35 and later ask for. */
  readonly traced?: TracedOutput;
  /** Signatures of that by others. */
  readonly traceSignatures?: readonly string[];
}

/** A derivation with its store path. */
export interface NamedDerivation {
  readonly path: string;
  readonly derivation: Derivation;
}

/** Reads a derivation of the store. */
export async function readDerivation(store: Store, info: Pick<PathInfo, 'path'>): Promise<Derivation> {
  try {
    const place = (await placeOf(store, info.path)) ?? store.realPath(info);
    return parseDerivation(await readFile(place, 'latin1'));
  } catch (cause) {
    throw new CarportError('E_FORMAT', `the derivation \`${info.path}\` cannot be read`, { cause });
  }
}

/** Outputs whose path the derivation does not tell, and a realisation may: all but impure ones. */
function untoldOutputs({ outputs }: Pick<Derivation, 'outputs'>): readonly string[] {
  return [...outputs].flatMap(([name, { path, hash }]) => (path === '' && hash !== 'impure' ? [name] : []));
}

/** Of each derivation the realisations that the store has, by output. */
export async function realisationsOf(
  store: Store,
  derivations: readonly NamedDerivation[],
): Promise<ReadonlyMap<string, ReadonlyMap<string, Realisation>>> {
  const untold = derivations.filter(({ derivation }) => untoldOutputs(derivation).length > 0);
  if (untold.length === 0 || store.queryRealisations === undefined) return new Map();
  const hashOf = createRealisationHashes((path) => readDerivation(store, { path }));
  const hashes = new Map<string, string>();
  for (const { path, derivation } of untold) {
    // One whose inputs are not at hand has no id.
    const hash = await hashOf(derivation).catch(undefinedIfRefused);
    if (hash !== undefined) hashes.set(path, hash);
  }
  const ids = untold.flatMap(({ path, derivation }) =>
    hashes.has(path) ? untoldOutputs(derivation).map((output) => realisationId(hashes.get(path)!, output)) : [],
  );
  const found = new Map((await store.queryRealisations(ids)).map((each) => [each.id, each]));
  return new Map(
    untold.map(({ path, derivation }) => {
      const realised = untoldOutputs(derivation).flatMap((output) => {
        const realisation = found.get(realisationId(hashes.get(path)!, output));
        return realisation === undefined ? [] : [[output, realisation] as const];
      });
      return [path, new Map(realised)];
    }),
  );
}

/** What was found of a closure. */
export interface ClosureRealisations {
  /** Of paths of the closure. */
  readonly realisations: readonly FoundRealisation[];
  /** Paths that are the outputs of content-addressed derivations, without a realisation. */
  readonly unknown: readonly string[];
}

/**
 * The realisations of paths of a closure: of derivations in it, and of those that have made its paths. Nix builds what is
 * content-addressed by a derivation that names its inputs' paths, and writes down that one (it is *resolved*); people
 * evaluate the one that names their derivations. It has the same name, so that it is found if it is in the store.
 */
export async function findRealisations(store: Store, { graph, pinned }: Closure): Promise<ClosureRealisations> {
  const named = new Set(pinned.storePaths);
  const infos = [...graph.values()];
  const likely = infos.filter(({ path, ca, deriver }) => isDeriver(deriver) && (ca !== undefined || named.has(path)));
  const hasUntold = (derivation: Derivation) => untoldOutputs(derivation).length > 0;
  const derivers = likely.map(({ deriver }) => deriver!);
  const drvPaths = infos.map(({ path }) => path).filter(isDerivationPath);
  // To read a large derivation takes long, and to ask the store is a program: mostly a look at each shows that all is told.
  const [looked, own] = await Promise.all([derivers, drvPaths].map((paths) => lookAtThose(store, paths)));
  const claimed = looked!.filter(({ mayLack, isResolved }) => mayLack || isResolved);
  const inside = own!.filter(({ mayLack }) => mayLack);
  if (claimed.length + inside.length === 0) return NONE;
  const alike = (await lookAtThose(store, await namesakesOf(store, infos))).filter(({ mayLack }) => mayLack);
  if (![...claimed, ...inside, ...alike].some(({ mayLack }) => mayLack)) return NONE;
  const valid = await validOf(store, [...new Set([...claimed, ...alike].map(({ path }) => path))]);
  const inGraph = await readThose(store, inside, hasUntold);
  const suspects = await readThose(
    store,
    claimed.filter(({ path }) => valid.has(path)),
    (each) => hasUntold(each) || each.inputDerivations.size === 0,
  );
  const namesakes = await readThose(
    store,
    alike.filter(({ path }) => valid.has(path)),
    hasUntold,
  );
  if (suspects.length + inGraph.length === 0) return NONE;
  const all = new Map([...inGraph, ...suspects, ...namesakes].map((each) => [each.path, each]));
  const realised = await realisationsOf(store, [...all.values()]);
  const realisations = [...realised.values()].flatMap((outputs) =>
    [...outputs].flatMap(([output, realisation]): readonly FoundRealisation[] => {
      const info = graph.get(realisation.outPath);
      if (info === undefined) return [];
      const traced = tracedOutputOf(info, output);
      return [{ ...realisation, ...(traced && { traced }) }];
    }),
  );
  const known = new Set(realisations.map(({ outPath }) => outPath));
  const floating = new Set(suspects.filter(({ derivation }) => hasUntold(derivation)).map(({ path }) => path));
  const unknown = likely.filter(
    ({ path, ca, deriver }) => ca !== undefined && floating.has(deriver!) && !known.has(path),
  );
  return { realisations, unknown: unknown.map(({ path }) => path) };
}

/** Derivations that are looked at beside those that have made paths. */
const MOST_LOOKS = 1000;

/**
 * Whether nothing speaks for realisations of paths and of what is below them, as in `findRealisations`. All inputs of a derivation
 * that tells its path tell theirs, unless it is the resolved form of one that does not. What another one or none has made may refer
 * to anything: then no derivation that is here may lack a path.
 */
export async function haveToldPaths(infos: readonly PathInfo[]): Promise<boolean> {
  const derivers = infos.flatMap(({ deriver }) => (isDeriver(deriver) ? [deriver] : []));
  const realStoreDirs = [...new Set(infos.map(({ path }) => storeDirOf(path)))];
  const looked = await lookAtThose({ realStoreDirs }, derivers);
  if (looked.some(({ mayLack }) => mayLack)) return false;
  const telling = new Set(looked.filter(({ isResolved }) => !isResolved).map(({ path }) => path));
  const names = looked.filter(({ isResolved }) => isResolved).map(({ path }) => nameOf(path));
  const isOpen = infos.some(
    ({ path, references, deriver = '' }) => references.some((to) => to !== path) && !telling.has(deriver),
  );
  if (names.length === 0 && !isOpen) return true;
  const present = (await mapAtMost(AT_ONCE, realStoreDirs, namesIn)).flat();
  const suspects = present.filter((name) =>
    isOpen ? name.endsWith('.drv') : names.some((each) => name.endsWith(`-${each}`)),
  );
  if (suspects.length > MOST_LOOKS) return false;
  const others = await lookAtThose(
    { realStoreDirs },
    suspects.map((name) => `${realStoreDirs[0]}/${name}`),
  );
  return others.every(({ mayLack }) => !mayLack);
}

function isDeriver(deriver: string | undefined): deriver is string {
  return deriver !== undefined && isDerivationPath(deriver);
}

const NONE: ClosureRealisations = { realisations: [], unknown: [] };

/** What a look at a derivation tells. */
interface LookedAt {
  readonly path: string;
  /** It may lack the path of an output. */
  readonly mayLack: boolean;
  /** It may be one that Nix has resolved. */
  readonly isResolved: boolean;
}

/** Looks at those of derivations that are on disk, valid or not; of what was substituted mostly none is. */
async function lookAtThose(
  store: Pick<Store, 'realStoreDirs'>,
  paths: readonly string[],
): Promise<readonly LookedAt[]> {
  const looked = await mapAtMost(AT_ONCE, new Set(paths), async (path): Promise<readonly LookedAt[]> => {
    const place = await placeOf(store, path);
    const text = place && (await readFile(place, 'latin1').catch(() => undefined));
    if (text === undefined) return [];
    const { isTold = false, hasInputDerivations = false } = glanceAtDerivation(text) ?? {};
    return [{ path, mayLack: !isTold, isResolved: !hasInputDerivations }];
  });
  return looked.flat();
}

/** Where a path lies, valid or not. */
async function placeOf(store: Pick<Store, 'realStoreDirs'>, path: string): Promise<string | undefined> {
  for (const directory of store.realStoreDirs) {
    const place = join(directory, baseNameOf(path));
    if (await isThere(place)) return place;
  }
  return undefined;
}

/** Those of derivations that are valid here. A push does without one that Nix refuses. */
async function validOf(store: Store, paths: readonly string[]): Promise<ReadonlySet<string>> {
  const infos = await store.queryInfos(paths).catch(undefinedIfRefused);
  return new Set(infos?.keys());
}

/** Those of valid derivations that are wanted. Of thousands not all are held; one that carport has no words for is left out. */
async function readThose(
  store: Store,
  looked: readonly LookedAt[],
  isWanted: (derivation: Derivation) => boolean,
): Promise<readonly NamedDerivation[]> {
  const read = await mapAtMost(AT_ONCE, looked, async ({ path }) => {
    const derivation = await readDerivation(store, { path }).catch(undefinedIfRefused);
    return derivation !== undefined && isWanted(derivation) ? [{ path, derivation }] : [];
  });
  return read.flat();
}

function undefinedIfRefused(error: unknown): undefined {
  if (!(error instanceof CarportError)) throw error;
  return undefined;
}

/** Derivations in the store dir that have the names of those that made paths, valid or not. */
async function namesakesOf(store: Store, infos: readonly PathInfo[]): Promise<readonly string[]> {
  const names = new Set(infos.flatMap(({ deriver }) => (isDeriver(deriver) ? [nameOf(deriver)] : [])));
  return [...(await store.queryHashParts()).values()].filter((path) => names.has(nameOf(path)));
}
