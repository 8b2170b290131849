/** `cache init`, `config`, `erase`. */

import { basename } from 'node:path';
import { checkStoreDir, readCacheInfo, requireCacheInfo, writeCacheInfo } from '../../cache/binary-cache.js';
import type { CacheLocation } from '../../cache/cache-location.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { erase, planErase } from '../../cache/erase.js';
import { publishKeys } from '../../cache/keys/publish.js';
import type { BucketAdmin, OpenCache } from '../../cache/open.js';
import { refuseOrphanedNarInfos } from '../../cache/push/orphaned-narinfos.js';
import { CarportError, hasCode } from '../../lib/errors.js';
import type { CacheInfo } from '../../lib/nix/cache-info.js';
import { DEFAULT_STORE_DIR } from '../../lib/nix/store-path.js';
import { renderPublicKey } from '../../lib/signing/key.js';
import { confirmByName } from '../cli/confirm.js';
import { type Context, note, writeJson, writeLines } from '../cli/context.js';
import { count, formatBytes } from '../cli/terminal.js';
import { warnPeople } from '../cli/warnings.js';
import { withCache } from '../cli/with-caches.js';
import { seenKeysOf } from '../pin/policy.js';
import { withActivity } from '../reporters/activity.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { ConfigOptions, InitOptions } from './command.js';
import { factLines, infoJson } from './common.js';
import type { EraseOptions } from './life.js';

/** Makes a cache, or changes the settings of one; prints the lines for `nix.conf`. */
export async function init(url: CacheUrl, options: InitOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async (cache, signal) => {
    const { objects, bucket } = cache;
    const keys = await loadSecretKeys([...options.settings['secret-key-files'].value, ...url.secretKeyFiles]);
    checkPublic(cache, options);
    const { dryRun } = options;
    if (bucket && !dryRun) {
      if (await bucket.ensure())
        note(context, options, `made the bucket \`${bucket.name}\`; on Garage only this key knows it by that name`);
      const refusal = await bucket.abortOldUploads();
      if (refusal)
        note(context, options, `note: uploads that nobody finishes stay in the bucket, since ${refusal.message}`);
    }
    const paging = options.page ? await import('./page.js') : undefined;
    await paging?.refuseAnotherPage(objects);
    const { created, info } = await changeCacheInfo(cache, options);
    await changePublic(cache, options);
    const baseUrl = options.settings['base-url'].value;
    if (keys.length > 0 && !dryRun) {
      const urls = baseUrl === undefined ? [] : [baseUrl];
      const publishing = { seen: seenKeysOf(context.env), emit: warnPeople(context) };
      await publishKeys(objects, { keys, urls, now: Date.now() }, publishing);
    }
    const isNewPage = await paging?.renewPage(objects, { ...options, keys }, { context, signal, dryRun });
    const publicKeys = keys.map(({ publicKey }) => renderPublicKey(publicKey));
    if (options.json) {
      const tried = dryRun ? { dryRun } : {};
      const page = isNewPage === undefined ? {} : { page: { changed: isNewPage } };
      return writeJson(context.stdout, { url: objects.url, created, ...infoJson(info), publicKeys, ...page, ...tried });
    }
    const [made, changed] = dryRun ? ['would make', 'would change'] : ['made', 'changed'];
    note(context, options, `${created ? made : changed} the cache; these lines are for \`nix.conf\`:`);
    await writeLines(context.stdout, [
      `extra-substituters = ${objects.url}`,
      ...(publicKeys.length > 0 ? [`extra-trusted-public-keys = ${publicKeys.join(' ')}`] : []),
    ]);
    if (bucket && !dryRun) note(context, options, await readersWithoutKey(bucket));
    if (isNewPage !== undefined) paging!.tellOfPage(objects, isNewPage, options, context);
  });
}

async function readersWithoutKey(bucket: BucketAdmin): Promise<string> {
  const { isPublic, publicUrl } = await bucket.readSettings();
  if (publicUrl !== undefined) return `who has no access key, or a Nix without S3, reads \`${publicUrl}\``;
  if (isPublic === null)
    return 'who has no access key cannot read it, unless the server lets everybody: see its manual';
  return isPublic === false
    ? 'who has no access key, or a Nix without S3, cannot read it: `--public` lets everybody read it'
    : "who has no access key, or a Nix without S3, reads the bucket's website over `https://`";
}

/** Shows what is set on a cache, after changing what the options say. */
export async function config(url: CacheUrl, options: ConfigOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async (cache) => {
    checkPublic(cache, options);
    const changes = [options.priority, options.wantMassQuery].some((value) => value !== undefined);
    const before = await requireCacheInfo(cache.objects);
    // What the server may refuse goes first: then nothing is changed.
    await changePublic(cache, options);
    const info = changes ? (await changeCacheInfo(cache, options)).info : before;
    const ofBucket = await cache.bucket?.readSettings();
    const shown = { url: cache.objects.url, ...infoJson(info), ...ofBucket };
    if (options.dryRun) note(context, options, 'nothing was changed');
    if (ofBucket?.expiresObjects) {
      const message = 'a lifecycle rule of the bucket removes objects by their age, which breaks closures';
      warnPeople(context)({ type: 'warning', message });
    }
    if (ofBucket && Object.values(ofBucket).includes(null))
      note(context, options, 'note: `-` is not known: the server does not have it, or the key may not see it');
    if (options.json) return writeJson(context.stdout, shown);
    await writeLines(context.stdout, factLines(shown));
  });
}

/** Removes a cache, when a person has confirmed it. */
export async function eraseCache(url: CacheUrl, options: EraseOptions, context: Context): Promise<void> {
  await withCache(url, { options, context }, async ({ objects }) => {
    const plan = await planErase(objects);
    const others =
      plan.others > 0
        ? `; ${count(plan.others, 'object')} that ${plan.others === 1 ? 'is no part of it stays' : 'are no part of it stay'}`
        : '';
    note(
      context,
      options,
      `\`${objects.url}\`: ${count(plan.keys.length, 'object')} of the cache (${formatBytes(plan.size)})${others}`,
    );
    if (options.dryRun) {
      return options.json ? writeJson(context.stdout, { ...plan }) : writeLines(context.stdout, plan.keys);
    }
    const name = nameOf(url.location);
    if (plan.keys.length > 0 && !options.yes) await confirmByName(name, context);
    const refusal = await withActivity(context, options, ({ emit }) => erase(objects, plan, emit));
    if (refusal)
      note(context, options, `note: uploads that nobody finished may be left in the bucket, since ${refusal.message}`);
    const number = plan.keys.length;
    if (number > 0) note(context, options, `removed ${number} of ${number}`);
    if (options.json)
      await writeJson(context.stdout, { url: objects.url, removed: plan.keys.length, others: plan.others });
  });
}

/** What a person calls the place: the bucket with the directory in it, or the last part of a path. */
function nameOf(location: CacheLocation): string {
  if (location.kind === 's3') return [location.bucket, location.prefix].filter((part) => part !== '').join('/');
  return location.kind === 'file' ? basename(location.root) : location.url.host;
}

async function changeCacheInfo({ url, objects }: OpenCache, options: ConfigOptions) {
  const before = await readCacheInfo(objects).catch((error) => {
    // Of a bucket that is not made yet.
    if (options.dryRun && hasCode(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  });
  if (before) checkStoreDir(objects, before.storeDir, DEFAULT_STORE_DIR);
  else if (!options.dryRun) await refuseOrphanedNarInfos(objects);
  const priority = options.priority ?? url.priority ?? before?.priority;
  const wantMassQuery = options.wantMassQuery ?? url.wantMassQuery ?? before?.wantMassQuery;
  const info: CacheInfo = {
    storeDir: DEFAULT_STORE_DIR,
    ...(priority !== undefined && { priority }),
    ...(wantMassQuery !== undefined && { wantMassQuery }),
  };
  if (!options.dryRun) await writeCacheInfo(objects, info);
  return { created: before === undefined, info };
}

async function changePublic({ bucket }: OpenCache, options: ConfigOptions): Promise<void> {
  if (options.public !== undefined && !options.dryRun) await bucket?.setPublic(options.public);
}

/** Before anything is changed. */
function checkPublic({ objects, bucket }: OpenCache, options: ConfigOptions): void {
  if (bucket || options.public === undefined) return;
  throw new CarportError('E_UNSUPPORTED', `\`${objects.url}\` is not a bucket`, {
    hint: 'only `s3://` caches can be made public; leave `--public` out',
  });
}
