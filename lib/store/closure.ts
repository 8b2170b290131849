import { readFile } from 'node:fs/promises';
import { CarportError } from '../errors.js';
import type { PathGraph } from '../nix/closure.js';
import { parseDerivation } from '../nix/derivation/aterm.js';
import { type Derivation, isDerivationPath } from '../nix/derivation/derivation.js';
import type { PathInfo } from '../nix/narinfo.js';
import type { Store } from './store.js';
import { missingReferences } from './walk-references.js';

/** An output of a derivation in the closure that is not valid in this store. */
export interface MissingOutput {
  readonly derivation: string;
  readonly output: string;
  /** `undefined` when it is known only after the build. */
  readonly path: string | undefined;
}

export interface Closure {
  readonly graph: PathGraph;
  /** Of a build closure: what could not be taken along. */
  readonly missingOutputs: readonly MissingOutput[];
}

/** Everything that `roots` refer to, directly or not (`nix-store -qR`). Throws when a path is not valid here. */
export async function runtimeClosure(store: Store, roots: readonly string[]): Promise<Closure> {
  return { graph: checkClosure(store, await store.queryClosure(roots), roots), missingOutputs: [] };
}

/**
 * The runtime closure, and for each derivation in it the closures of its valid outputs, until nothing is added
 * (`nix-store -qR --include-outputs`): what it takes to build without a network.
 */
export async function buildClosure(store: Store, roots: readonly string[]): Promise<Closure> {
  const graph = new Map(await store.queryClosure(roots));
  checkClosure(store, graph, roots);
  const missingOutputs: MissingOutput[] = [];
  const read = new Set<string>();
  for (;;) {
    const unread = [...graph.values()].filter(({ path }) => isDerivationPath(path) && !read.has(path));
    if (unread.length === 0) return { graph, missingOutputs };
    for (const { path } of unread) read.add(path);
    const outputs = (await Promise.all(unread.map((info) => outputsOf(store, info)))).flat();
    const paths = outputs.map(({ path }) => path).filter((path) => path !== undefined && !graph.has(path));
    const found = await store.queryClosure(paths as readonly string[]);
    for (const [path, info] of found) graph.set(path, info);
    missingOutputs.push(...outputs.filter(({ path }) => path === undefined || !graph.has(path)));
    checkClosure(store, graph, []);
  }
}

/** Reads a derivation of the store. */
async function readDerivation(store: Store, info: PathInfo): Promise<Derivation> {
  try {
    return parseDerivation(await readFile(store.realPath(info), 'latin1'));
  } catch (cause) {
    throw new CarportError('E_FORMAT', `the derivation \`${info.path}\` cannot be read`, { cause });
  }
}

async function outputsOf(store: Store, info: PathInfo): Promise<readonly MissingOutput[]> {
  const { outputs } = await readDerivation(store, info);
  return [...outputs].map(([output, { path }]) => ({ derivation: info.path, output, path: path || undefined }));
}

function checkClosure(store: Store, graph: PathGraph, roots: readonly string[]): PathGraph {
  const missingRoot = roots.find((root) => !graph.has(root));
  if (missingRoot !== undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${missingRoot}\` is not valid in ${store.description}`, {
      hint: 'build it, pull it, or add it with `carport store add`; `--store ROOT` names another store',
    });
  }
  const [missing] = missingReferences(graph);
  if (missing !== undefined) {
    throw new CarportError('E_NOT_FOUND', `\`${missing.path}\` is not valid in ${store.description}`, {
      cause: new Error(`\`${missing.referrer}\` refers to it`),
      hint: 'the store is not complete: pull or add the missing path',
    });
  }
  return graph;
}
