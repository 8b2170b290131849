import { listHashParts, readNarInfo, requireCacheInfo } from '../../cache/binary-cache.js';
import { listCachedPath, readCachedFile } from '../../cache/browse.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { findPath } from '../../cache/pull/plan.js';
import { CarportError } from '../../lib/errors.js';
import { findInListing, renderListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { DEFAULT_STORE_DIR, hashPartOf, isHashPart, isStoreBaseName } from '../../lib/nix/store-path.js';
import { type CommonOptions, type Context, write, writeJson, writeLines } from '../context.js';
import { parseTrustedKeys } from '../keys.js';
import { createLister, listingEvents } from '../nar-lister.js';
import { infoJson, rows, useCache } from './cache-common.js';

const READS_AT_ONCE = 64;

export interface CatOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
}

export async function showInfo(text: string, options: CommonOptions, context: Context): Promise<void> {
  await useCache(text, options, context, async ({ objects }) => {
    const info = await requireCacheInfo(objects);
    let [paths, narSize, fileSize] = [0, 0, 0];
    if (objects.list) {
      for await (const narInfo of narInfos(objects)) {
        paths++;
        narSize += narInfo.narSize;
        fileSize += narInfo.fileSize ?? 0;
      }
    }
    // A web server does not tell what it has.
    const sizes = objects.list ? { paths, narSize, fileSize } : { paths: null, narSize: null, fileSize: null };
    const shown = { url: objects.url, ...infoJson(info), ...sizes };
    if (options.json) return writeJson(context.stdout, shown);
    await writeLines(context.stdout, rows(shown));
  });
}

export async function listPaths(text: string, options: CommonOptions, context: Context): Promise<void> {
  await useCache(text, options, context, async ({ objects }) => {
    await requireCacheInfo(objects);
    const paths: string[] = [];
    for await (const { path } of narInfos(objects)) paths.push(path);
    paths.sort();
    if (options.json) await writeJson(context.stdout, { paths });
    else await writeLines(context.stdout, paths);
  });
}

export async function listFiles(text: string, path: string, options: CommonOptions, context: Context): Promise<void> {
  const { hashPart, inner } = parseInnerPath(path);
  const node = await useCache(text, options, context, async ({ objects }) => {
    const info = await readNarInfo(objects, hashPart);
    const found = info && findInListing(await listCachedPath(objects, info), inner);
    if (found) return found;
    throw new CarportError('E_NOT_FOUND', `\`${path}\` is not in \`${objects.url}\``);
  });
  if (options.json) return write(context.stdout, `${renderListing(node)}\n`);
  const lister = createLister(context.stdout.isTTY === true);
  const lines = [...listingEvents(node)].map(lister).filter((line) => line !== undefined);
  await write(context.stdout, Buffer.concat(lines));
}

export async function cat(text: string, path: string, options: CatOptions, context: Context): Promise<void> {
  const { hashPart, inner } = parseInnerPath(path);
  await useCache(text, options, context, async ({ objects }, settings) => {
    const trust = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned: options.allowUnsigned === true };
    const { storeDir } = await requireCacheInfo(objects);
    const { info } = await findPath([objects], { hashPart, path: undefined, storeDir }, trust, () => undefined);
    for await (const bytes of readCachedFile(objects, info, inner)) await write(context.stdout, Uint8Array.from(bytes));
  });
}

/** Every narinfo, many read at a time. */
async function* narInfos(objects: ObjectStore): AsyncGenerator<NarInfo> {
  let batch: string[] = [];
  const read = async () => {
    const infos = await Promise.all(batch.map((hashPart) => readNarInfo(objects, hashPart)));
    batch = [];
    return infos.filter((info) => info !== undefined);
  };
  for await (const hashPart of listHashParts(objects)) {
    batch.push(hashPart);
    if (batch.length >= READS_AT_ONCE) yield* await read();
  }
  yield* await read();
}

/** `/nix/store/HASH-NAME/bin/hello`, `HASH-NAME/bin/hello` or `HASH/bin/hello`. */
function parseInnerPath(text: string): { readonly hashPart: string; readonly inner: string } {
  const relative = text.startsWith(`${DEFAULT_STORE_DIR}/`) ? text.slice(DEFAULT_STORE_DIR.length + 1) : text;
  const [name = '', ...inner] = relative.split('/');
  if (isHashPart(name)) return { hashPart: name, inner: inner.filter((part) => part !== '').join('/') };
  if (isStoreBaseName(name))
    return { hashPart: hashPartOf(name), inner: inner.filter((part) => part !== '').join('/') };
  throw new CarportError('E_USAGE', `\`${text}\` is not a store path or a path in one`);
}
