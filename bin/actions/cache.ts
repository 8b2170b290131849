import {
  checkStoreDir,
  listHashParts,
  readCacheInfo,
  readNarInfo,
  requireCacheInfo,
  writeCacheInfo,
} from '../../cache/binary-cache.js';
import { listCachedPath, readCachedFile } from '../../cache/browse.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import { openCache } from '../../cache/open.js';
import { findPath } from '../../cache/pull/plan.js';
import { CarportError } from '../../lib/errors.js';
import { findInListing, renderListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { DEFAULT_STORE_DIR, hashPartOf, isHashPart, isStoreBaseName } from '../../lib/nix/store-path.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import { settingsOf } from '../command.js';
import { type CommonOptions, type Context, note, write, writeJson, writeLines } from '../context.js';
import { loadSecretKeys, parseTrustedKeys } from '../keys.js';
import { createLister, listingEvents } from '../nar-lister.js';

const READS_AT_ONCE = 64;

export interface InitOptions extends CommonOptions {
  readonly priority?: number;
  readonly wantMassQuery?: boolean;
}

export interface CatOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
}

export async function init(text: string, options: InitOptions, context: Context): Promise<void> {
  const { url, objects } = openCache(text);
  const settings = await settingsOf({ ...options }, context);
  const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...url.secretKeyFiles]);
  const before = await readCacheInfo(objects);
  if (before) checkStoreDir(objects, before.storeDir, DEFAULT_STORE_DIR);
  const priority = options.priority ?? url.priority ?? before?.priority;
  const wantMassQuery = options.wantMassQuery ?? url.wantMassQuery ?? before?.wantMassQuery;
  const info = {
    storeDir: DEFAULT_STORE_DIR,
    ...(priority !== undefined && { priority }),
    ...(wantMassQuery !== undefined && { wantMassQuery }),
  };
  await writeCacheInfo(objects, info);
  const publicKeys = keys.map(({ publicKey }) => renderPublicKey(publicKey));
  if (options.json) {
    const { storeDir } = info;
    await writeJson(context.stdout, {
      ...{ url: objects.url, created: before === undefined, storeDir },
      ...{ priority: priority ?? null, wantMassQuery: wantMassQuery ?? null, publicKeys },
    });
    return;
  }
  note(context, options, `${before ? 'changed' : 'made'} the cache; these lines are for \`nix.conf\`:`);
  await writeLines(context.stdout, [
    `extra-substituters = ${objects.url}`,
    ...(publicKeys.length > 0 ? [`extra-trusted-public-keys = ${publicKeys.join(' ')}`] : []),
  ]);
}

export async function showInfo(text: string, options: CommonOptions, context: Context): Promise<void> {
  const { objects } = openCache(text);
  const info = await requireCacheInfo(objects);
  let paths = 0;
  let [narSize, fileSize] = [0, 0];
  for await (const narInfo of narInfos(objects)) {
    paths++;
    narSize += narInfo.narSize;
    fileSize += narInfo.fileSize ?? 0;
  }
  const { storeDir, priority = null, wantMassQuery = null } = info;
  const shown = { url: objects.url, storeDir, priority, wantMassQuery, paths, narSize, fileSize };
  if (options.json) return writeJson(context.stdout, shown);
  await writeLines(
    context.stdout,
    Object.entries(shown).map(([key, value]) => `${`${key}:`.padEnd(15)}${value ?? '-'}`),
  );
}

export async function listPaths(text: string, options: CommonOptions, context: Context): Promise<void> {
  const { objects } = openCache(text);
  await requireCacheInfo(objects);
  const paths: string[] = [];
  for await (const { path } of narInfos(objects)) paths.push(path);
  paths.sort();
  if (options.json) await writeJson(context.stdout, { paths });
  else await writeLines(context.stdout, paths);
}

export async function listFiles(text: string, path: string, options: CommonOptions, context: Context): Promise<void> {
  const { objects } = openCache(text);
  const { hashPart, inner } = parseInnerPath(path);
  const info = await readNarInfo(objects, hashPart);
  const node = info && findInListing(await listCachedPath(objects, info), inner);
  if (node === undefined) throw new CarportError('E_NOT_FOUND', `\`${path}\` is not in \`${objects.url}\``);
  if (options.json) return write(context.stdout, `${renderListing(node)}\n`);
  const lister = createLister(context.stdout.isTTY === true);
  const lines = [...listingEvents(node)].map(lister).filter((line) => line !== undefined);
  await write(context.stdout, Buffer.concat(lines));
}

export async function cat(text: string, path: string, options: CatOptions, context: Context): Promise<void> {
  const { objects } = openCache(text);
  const settings = await settingsOf({ ...options }, context);
  const trust = { keys: parseTrustedKeys(settings['trusted-keys']), allowUnsigned: options.allowUnsigned === true };
  const { storeDir } = await requireCacheInfo(objects);
  const { hashPart, inner } = parseInnerPath(path);
  const { info } = await findPath([objects], { hashPart, path: undefined, storeDir }, trust, () => undefined);
  for await (const bytes of readCachedFile(objects, info, inner)) await write(context.stdout, Uint8Array.from(bytes));
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
