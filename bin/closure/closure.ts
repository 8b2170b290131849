/** The command `closure`: shows what paths need. */

import { checkStoreDir, requireCacheInfo } from '../../cache/binary-cache.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { cacheClosure } from '../../cache/cached-closure.js';
import { lookUpPin } from '../../cache/pins/look-up.js';
import { parsePinReference } from '../../cache/pins/reference.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import { type PathGraph, referencesIn, shortestChain, topologicalOrder } from '../../lib/nix/closure.js';
import { closureSizes } from '../../lib/nix/closure-sizes.js';
import { type ConnectedClosure, connectClosure } from '../../lib/nix/connected-closure.js';
import { formatHash } from '../../lib/nix/hash.js';
import { DEFAULT_STORE_DIR, hashPartOf } from '../../lib/nix/store-path.js';
import type { BuildClosureGaps, OutputOfDerivation } from '../../lib/store/build-closure.js';
import { resolveStorePath } from '../../lib/store/resolve.js';
import { openLocalPaths, resolveLocalPaths } from '../arguments/local-paths.js';
import { expandStdin, resolveInCache } from '../arguments/paths.js';
import { type CommonOptions, type Context, note, say, writeJson, writeLines } from '../cli/context.js';
import { printable } from '../cli/printable.js';
import { formatBytes } from '../cli/terminal.js';
import { withCache } from '../cli/with-caches.js';
import type { ClosureCommandOptions } from './command.js';
import { closureOf, closureWarnings } from './select.js';

/** A closure, and how to read further path arguments. */
interface Found extends Partial<BuildClosureGaps> {
  readonly graph: PathGraph;
  readonly roots: readonly string[];
  resolve(what: string): Promise<string>;
}

export async function run(targets: readonly string[], options: ClosureCommandOptions, context: Context): Promise<void> {
  if ([options.tree, options.why, options.sizes].filter(Boolean).length > 1) {
    throw new CarportError('E_USAGE', '`--tree`, `--why` and `--sizes` exclude each other');
  }
  const found = await find(targets, options, context);
  for (const { message } of closureWarnings(found, options)) say(context, `${printable(`warning: ${message}`)}\n`);
  if (options.why !== undefined) return printChain(found, options.why, options, context);
  if (options.json) return printJson(found, context);
  if (options.tree) return writeLines(context.stdout, treeLines(connectClosure(found.graph, found.roots)));
  if (options.sizes) {
    note(context, options, ['own', 'closure', 'added'].map((title) => title.padStart(10)).join('  '));
    return writeLines(context.stdout, sizeLines(found));
  }
  await writeLines(
    context.stdout,
    topologicalOrder(found.graph).map(({ path }) => path),
  );
}

/** In the cache that is named; else here, or in the cache of the settings where it is not here. */
async function find(targets: readonly string[], options: ClosureCommandOptions, context: Context): Promise<Found> {
  const { from } = options.settings;
  if (options.build && options.closure !== 'build') {
    throw new CarportError('E_USAGE', `\`--build\` and \`--closure ${options.closure}\` exclude each other`);
  }
  const words = await expandStdin(targets, context);
  if (from.origin.kind === 'option') return findInCaches(words, from.value, options, context);
  try {
    return await findInStore(words, options, context);
  } catch (error) {
    if (!hasCode(error, 'E_NOT_FOUND') || from.value.length === 0 || options.closure === 'build') throw error;
    note(context, options, `note: ${error.message}: looking in the cache`);
    return findInCaches(words, from.value, options, context);
  }
}

async function findInStore(
  targets: readonly string[],
  options: ClosureCommandOptions,
  context: Context,
): Promise<Found> {
  const here = await openLocalPaths(options.settings, context);
  const { store } = here;
  const roots = await resolveLocalPaths(targets, here, context);
  const closure = await closureOf(options, store, roots);
  return { ...closure, roots, resolve: async (what) => (await resolveLocalPaths([what], here, context))[0]! };
}

async function findInCaches(
  targets: readonly string[],
  caches: readonly CacheUrl[],
  options: ClosureCommandOptions,
  context: Context,
): Promise<Found> {
  const [from, other] = caches;
  if (from === undefined || other !== undefined) {
    throw new CarportError('E_USAGE', 'a closure is that of one cache', { hint: 'give one `--from URL`' });
  }
  if (options.closure === 'build') {
    throw new CarportError('E_UNSUPPORTED', 'build closures are those of a store: leave `--from` out');
  }
  return withCache(from, { options, context }, async ({ objects }) => {
    const { storeDir } = await requireCacheInfo(objects);
    checkStoreDir(objects, storeDir, DEFAULT_STORE_DIR);
    const store = { storeDir, realStoreDirs: [] };
    const named = (what: string) => resolveInCache(what, store).then(({ hashPart, path = hashPart }) => path);
    const wantedOf = async (what: string) => {
      const pin = parsePinReference(what);
      if (pin === undefined) return [await named(what)];
      // Without a pin of that name a link may be meant.
      const link = () => named(what).then((path) => [path]);
      return lookUpPin(objects, pin).then(
        ({ storePaths }) => storePaths,
        (error) => link().catch(() => Promise.reject(error)),
      );
    };
    const wanted = (await Promise.all(targets.map(wantedOf))).flat();
    const eachOnce = new Map(wanted.map((what) => [hashPartOf(what), what]));
    const { graph, roots } = await cacheClosure(objects, [...eachOnce.values()]);
    const isWanted = ([path]: readonly [string, unknown]) => options.closure !== 'none' || roots.includes(path);
    return {
      ...{ graph: new Map([...graph].filter(isWanted)), roots },
      resolve: (what) => resolveStorePath(what, store),
    };
  });
}

async function printChain(found: Found, why: string, options: CommonOptions, context: Context): Promise<void> {
  const target = await found.resolve(why);
  const { graph, roots } = connectClosure(found.graph, found.roots);
  const chain = shortestChain(graph, roots, target);
  if (chain === undefined) throw new CarportError('E_NOT_FOUND', `\`${target}\` is not in the closure`);
  if (options.json) await writeJson(context.stdout, { chain });
  else {
    await writeLines(
      context.stdout,
      chain.map((path, depth) => `${'  '.repeat(depth)}${path}`),
    );
  }
}

async function printJson(
  { graph, roots, missingOutputs = [], missingDerivers = [], neededOutputs = [] }: Found,
  context: Context,
): Promise<void> {
  const connected = connectClosure(graph, roots);
  const sizes = new Map(closureSizes(connected.graph, connected.roots).map((size) => [size.path, size]));
  const paths = topologicalOrder(graph).map(({ path, narHash, narSize, references, deriver, signatures, ca }) => ({
    path,
    narHash: formatHash(narHash, 'sri'),
    narSize,
    closureSize: sizes.get(path)!.closure,
    addedSize: sizes.get(path)!.added,
    references,
    deriver: deriver ?? null,
    ca: ca ?? null,
    signatures,
  }));
  const jsonOf = (outputs: readonly OutputOfDerivation[]) =>
    outputs.map((each) => ({ ...each, path: each.path ?? null }));
  await writeJson(context.stdout, {
    ...{ roots, paths, missingOutputs: jsonOf(missingOutputs) },
    missingDerivers: missingDerivers.map((missing) => ({ ...missing, deriver: missing.deriver ?? null })),
    neededOutputs: jsonOf(neededOutputs),
  });
}

/** Each path with what it refers to below it; what was shown before is marked and not shown again. */
function treeLines({ graph, roots }: ConnectedClosure): readonly string[] {
  const lines: string[] = [];
  const shown = new Set<string>();
  const stack = roots.map((path) => ({ path, prefix: '', branch: '' })).reverse();
  for (let node = stack.pop(); node; node = stack.pop()) {
    const children = referencesIn(graph, node.path);
    const again = shown.has(node.path) && children.length > 0;
    shown.add(node.path);
    lines.push(`${node.prefix}${node.branch}${node.path}${again ? ' [above]' : ''}`);
    if (again) continue;
    const indent = node.branch === '' ? '' : node.branch.startsWith('+') ? '|   ' : '    ';
    const prefix = node.prefix + indent;
    const last = children.length - 1;
    stack.push(...children.map((path, at) => ({ path, prefix, branch: at === last ? '`-- ' : '+-- ' })).reverse());
  }
  return lines;
}

function sizeLines(found: Found): readonly string[] {
  const { graph, roots } = connectClosure(found.graph, found.roots);
  return closureSizes(graph, roots).map(({ path, own, closure, added }) =>
    [own, closure, added]
      .map((size) => formatBytes(size).padStart(10))
      .concat(path)
      .join('  '),
  );
}
