/** The closure as a cache tells it, for looking. */

import { createLimit } from '../lib/concurrency.js';
import { CarportError } from '../lib/errors.js';
import type { NarInfo } from '../lib/nix/narinfo.js';
import { hashPartOf } from '../lib/nix/store-path.js';
import type { ObjectStore } from '../lib/object-store/object-store.js';
import { missingReferences, walkReferences } from '../lib/store/walk-references.js';
import { readNarInfo } from './binary-cache.js';

const QUERIES_AT_ONCE = 64;

/** What a cache says of the closures of store paths or hash parts. Nothing is verified: it is for looking, not for using. */
export async function cacheClosure(
  objects: ObjectStore,
  wanted: readonly string[],
): Promise<{ readonly graph: ReadonlyMap<string, NarInfo>; readonly roots: readonly string[] }> {
  const limit = createLimit(QUERIES_AT_ONCE);
  const read = (hashPart: string) => limit(() => readNarInfo(objects, hashPart));
  const rootInfos = await Promise.all(
    wanted.map(async (what) => (await read(hashPartOf(what))) ?? notThere(objects, what)),
  );
  const known = new Map(rootInfos.map((info) => [info.path, info]));
  const roots = rootInfos.map(({ path }) => path);
  const graph = await walkReferences(roots, async (paths) => {
    const infos = await Promise.all(paths.map((path) => known.get(path) ?? read(hashPartOf(path))));
    return new Map(infos.filter((info) => info !== undefined).map((info) => [info.path, info]));
  });
  const [missing] = missingReferences(graph);
  if (missing) {
    throw new CarportError('E_NOT_FOUND', `\`${missing.path}\` is not in \`${objects.url}\``, {
      cause: new Error(`\`${missing.referrer}\` refers to it`),
      hint: 'the cache is not complete: push the closure again with `--check-all`',
    });
  }
  return { graph, roots };
}

function notThere(objects: ObjectStore, what: string): NarInfo {
  throw new CarportError('E_NOT_FOUND', `\`${what}\` is not in \`${objects.url}\``, {
    hint: 'check the path, or name the cache that has it',
  });
}
