import { basename } from 'node:path';
import {
  checkStoreDir,
  listHashParts,
  readCacheInfo,
  readNarInfo,
  requireCacheInfo,
  writeCacheInfo,
} from '../../cache/binary-cache.js';
import { listCachedPath, readCachedFile } from '../../cache/browse.js';
import { erase, planErase } from '../../cache/erase.js';
import type { ObjectStore } from '../../cache/object-store/object-store.js';
import type { Bucket } from '../../cache/object-store/s3/bucket.js';
import type { OpenCache } from '../../cache/open.js';
import { findPath } from '../../cache/pull/plan.js';
import { refuseRemains } from '../../cache/push/presence.js';
import { CarportError } from '../../lib/errors.js';
import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { findInListing, renderListing } from '../../lib/nix/nar/listing.js';
import type { NarInfo } from '../../lib/nix/narinfo.js';
import { DEFAULT_STORE_DIR, hashPartOf, isHashPart, isStoreBaseName } from '../../lib/nix/store-path.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import { settingsOf } from '../command.js';
import { confirmByName } from '../confirm.js';
import { type CommonOptions, type Context, note, write, writeJson, writeLines } from '../context.js';
import { loadSecretKeys, parseTrustedKeys } from '../keys.js';
import { createLister, listingEvents } from '../nar-lister.js';
import type { Settings } from '../settings.js';
import { count, formatBytes } from '../terminal.js';
import { withCache } from '../with-caches.js';

const READS_AT_ONCE = 64;

export interface CacheCommandOptions extends CommonOptions {
  readonly priority?: number;
  readonly wantMassQuery?: boolean;
  /** Serve the bucket as a website, or stop that. */
  readonly public?: boolean;
}

export interface EraseOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export interface CatOptions extends CommonOptions {
  readonly allowUnsigned?: boolean;
}

export async function init(text: string, options: CacheCommandOptions, context: Context): Promise<void> {
  await use(text, options, context, async (cache, settings) => {
    const { url, objects, bucket } = cache;
    const keys = await loadSecretKeys([...settings['secret-key-files'].values, ...url.secretKeyFiles]);
    checkPublic(cache, options);
    if (bucket) {
      const { abortOldUploads, ensureBucket } = await bucketSettings();
      if (await ensureBucket(bucket))
        note(context, options, `made the bucket \`${bucket.name}\`; on Garage only this key knows it by that name`);
      if (!(await abortOldUploads(bucket))) {
        note(
          context,
          options,
          'note: the key may not set the lifecycle: uploads that nobody finishes stay in the bucket',
        );
      }
    }
    const { created, info } = await changeCacheInfo(cache, options);
    await changePublic(cache, options);
    const publicKeys = keys.map(({ publicKey }) => renderPublicKey(publicKey));
    if (options.json) {
      return writeJson(context.stdout, { url: objects.url, created, ...infoJson(info), publicKeys });
    }
    note(context, options, `${created ? 'made' : 'changed'} the cache; these lines are for \`nix.conf\`:`);
    await writeLines(context.stdout, [
      `extra-substituters = ${objects.url}`,
      ...(publicKeys.length > 0 ? [`extra-trusted-public-keys = ${publicKeys.join(' ')}`] : []),
    ]);
    if (bucket) note(context, options, await readersWithoutKey(bucket));
  });
}

async function readersWithoutKey(bucket: Bucket): Promise<string> {
  const { isPublic } = await (await bucketSettings()).readBucketSettings(bucket);
  return isPublic === false
    ? 'who has no access key, or a Nix without S3, cannot read it: `--public` serves it as a website'
    : "who has no access key, or a Nix without S3, reads the bucket's website over `https://`";
}

/** Shows what is set on a cache, after changing what the options say. */
export async function config(text: string, options: CacheCommandOptions, context: Context): Promise<void> {
  await use(text, options, context, async (cache) => {
    checkPublic(cache, options);
    const changes = [options.priority, options.wantMassQuery].some((value) => value !== undefined);
    const before = await requireCacheInfo(cache.objects);
    const info = changes ? (await changeCacheInfo(cache, options)).info : before;
    await changePublic(cache, options);
    const ofBucket = cache.bucket && (await (await bucketSettings()).readBucketSettings(cache.bucket));
    const shown = { url: cache.objects.url, ...infoJson(info), ...ofBucket };
    if (ofBucket?.expiresObjects) {
      note(
        context,
        options,
        'warning: a lifecycle rule of the bucket removes objects by their age, which breaks closures',
      );
    }
    if (options.json) return writeJson(context.stdout, shown);
    await writeLines(context.stdout, rows(shown));
  });
}

export async function eraseCache(text: string, options: EraseOptions, context: Context): Promise<void> {
  await use(text, options, context, async ({ url, objects, bucket }) => {
    const plan = await planErase(objects);
    const others =
      plan.others > 0
        ? `; ${count(plan.others, 'object')} that ${plan.others === 1 ? 'is' : 'are'} no part of it stay`
        : '';
    note(
      context,
      options,
      `\`${objects.url}\`: ${count(plan.keys.length, 'object')} of the cache (${formatBytes(plan.size)})${others}`,
    );
    if (options.dryRun) {
      return options.json ? writeJson(context.stdout, { ...plan }) : writeLines(context.stdout, plan.keys);
    }
    const name = bucket?.name ?? basename(url.location.kind === 'file' ? url.location.root : objects.url);
    if (plan.keys.length > 0 && !options.yes) await confirmByName(name, context);
    await erase(objects, plan, (removed) => note(context, options, `removed ${removed} of ${plan.keys.length}`));
    if (bucket && url.location.kind === 's3') {
      const { prefix } = url.location;
      await (await bucketSettings()).removeUploads(bucket, `${prefix === '' ? '' : `${prefix}/`}nar/`);
    }
    if (options.json)
      await writeJson(context.stdout, { url: objects.url, removed: plan.keys.length, others: plan.others });
  });
}

/** Loads the AWS SDK. */
function bucketSettings() {
  return import('../../cache/object-store/s3/bucket-settings.js');
}

async function changeCacheInfo({ url, objects }: OpenCache, options: CacheCommandOptions) {
  const before = await readCacheInfo(objects);
  if (before) checkStoreDir(objects, before.storeDir, DEFAULT_STORE_DIR);
  else await refuseRemains(objects);
  const priority = options.priority ?? url.priority ?? before?.priority;
  const wantMassQuery = options.wantMassQuery ?? url.wantMassQuery ?? before?.wantMassQuery;
  const info: CacheInfo = {
    storeDir: DEFAULT_STORE_DIR,
    ...(priority !== undefined && { priority }),
    ...(wantMassQuery !== undefined && { wantMassQuery }),
  };
  await writeCacheInfo(objects, info);
  return { created: before === undefined, info };
}

async function changePublic({ bucket }: OpenCache, options: CacheCommandOptions): Promise<void> {
  if (bucket && options.public !== undefined) await (await bucketSettings()).setPublic(bucket, options.public);
}

/** Before anything is changed. */
function checkPublic({ objects, bucket }: OpenCache, options: CacheCommandOptions): void {
  if (bucket || options.public === undefined) return;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is not a bucket`, {
    hint: 'only `s3://` caches can be made public; leave `--public` out',
  });
}

function infoJson({ storeDir, priority, wantMassQuery }: CacheInfo) {
  return { storeDir, priority: priority ?? null, wantMassQuery: wantMassQuery ?? null };
}

/** Opens the cache of a command line for as long as `work` takes. */
async function use<T>(
  text: string,
  options: CommonOptions,
  context: Context,
  work: (cache: OpenCache, settings: Settings) => Promise<T>,
): Promise<T> {
  const settings = await settingsOf({ ...options }, context);
  const warn = (message: string) => note(context, options, `warning: ${message}`);
  return withCache(text, { context, settings, warn }, (cache) => work(cache, settings));
}

function rows(shown: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(shown).map(([key, value]) => `${`${key}:`.padEnd(23)}${value ?? '-'}`);
}

export async function showInfo(text: string, options: CommonOptions, context: Context): Promise<void> {
  await use(text, options, context, async ({ objects }) => {
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
  await use(text, options, context, async ({ objects }) => {
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
  const node = await use(text, options, context, async ({ objects }) => {
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
  await use(text, options, context, async ({ objects }, settings) => {
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
