/** The command `cache page`: a page at the root of a cache, for whoever opens its address. */

import { requireCacheInfo } from '../../cache/binary-cache.js';
import type { CacheUrl } from '../../cache/cache-url.js';
import { attribute } from '../../cache/stats/attribute.js';
import { rootsOfPins } from '../../cache/stats/session.js';
import { statsOf } from '../../cache/stats/stats.js';
import { renderCachePage } from '../../index-generator/cache/cache-page.js';
import { PAGE_MARK } from '../../index-generator/cache/frame.js';
import { CarportError } from '../../lib/errors.js';
import type { ObjectStore } from '../../lib/object-store/object-store.js';
import { renderPublicKey, type SecretKey } from '../../lib/signing/key.js';
import { releaseOfKey } from '../../release/layout.js';
import { type CommonOptions, type Context, note, writeJson } from '../cli/context.js';
import { withCache } from '../cli/with-caches.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { Settings } from '../settings/setting.js';
import type { PageOptions } from './command.js';
import { count } from './count.js';

/** Where servers look for the page of a directory. */
const KEY = 'index.html';
const LIMIT = 16 * 1024 * 1024;

/** What a page is made of, beside the cache. */
export interface PageRequest extends CommonOptions {
  readonly settings: Pick<Settings, 'base-url' | 'title' | 'trusted-keys'>;
  /** Whose public keys it shows, beside those that are trusted. */
  readonly keys: readonly SecretKey[];
}

/** Writes the page, unless it is there as it should be. */
export async function writePage(url: CacheUrl, options: PageOptions, context: Context): Promise<void> {
  const { settings, replace, dryRun } = options;
  await withCache(url, { options, context }, async ({ objects }, signal) => {
    await requireCacheInfo(objects);
    if (!replace) await refuseAnotherPage(objects);
    const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...url.secretKeyFiles]);
    const changed = await renewPage(objects, { ...options, keys }, { context, signal, dryRun });
    if (options.json) return writeJson(context.stdout, { url: objects.url, key: KEY, changed, dryRun });
    tellOfPage(objects, changed, options, context);
  });
}

/** Throws `E_USAGE` where there is another page at the root of a cache. */
export async function refuseAnotherPage(objects: ObjectStore): Promise<void> {
  const there = await objects.read(KEY, LIMIT);
  if (there && !there.includes(PAGE_MARK)) throw anotherPage(objects);
}

/** Whether a cache has a page of ours. */
export async function hasPage(objects: ObjectStore): Promise<boolean> {
  const there = await objects.read(KEY, LIMIT).catch(() => undefined);
  return there?.includes(PAGE_MARK) === true;
}

/** Writes the page in place of any other; says whether it was not there like that already. */
export async function renewPage(
  objects: ObjectStore,
  request: PageRequest,
  {
    context,
    signal,
    dryRun = false,
  }: { readonly context: Context; readonly signal: AbortSignal; readonly dryRun?: boolean },
): Promise<boolean> {
  const { keys, settings } = request;
  const there = await objects.read(KEY, LIMIT);
  const publicKeys = [...keys.map(({ publicKey }) => publicKey), ...settings['trusted-keys'].value].map(
    renderPublicKey,
  );
  const text = await renderPage(objects, [...new Set(publicKeys)], request, context, signal);
  const isNew = there?.toString('utf8') !== text;
  if (isNew && !dryRun)
    await objects.put(KEY, Buffer.from(text), { contentType: 'text/html; charset=utf-8', cacheControl: 'no-cache' });
  return isNew;
}

/** Says what became of the page. */
export function tellOfPage(
  { url }: ObjectStore,
  isNew: boolean,
  options: Pick<CommonOptions, 'quiet'> & { readonly dryRun?: boolean },
  context: Context,
): void {
  const changed = options.dryRun ? 'would be written' : 'is written';
  note(context, options, `\`${KEY}\` in \`${url}\` ${isNew ? changed : 'is as it should be'}`);
}

async function renderPage(
  objects: ObjectStore,
  publicKeys: readonly string[],
  options: PageRequest,
  context: Context,
  signal: AbortSignal,
): Promise<string> {
  const { survey, pins, beside } = await count(objects, options, context, signal);
  const now = pins.map((pin) => ({ ...pin, history: [] }));
  const { roots } = attribute(survey, rootsOfPins(now));
  const { paths, narSize, groups } = statsOf(survey, { roots: [], beside, releaseOf: releaseOfKey });
  const stored = [groups.nars, groups.narinfos, groups.listings, groups.belongings];
  const address = (options.settings['base-url'].value ?? objects.url).replace(/\/+$/, '');
  return renderCachePage({
    title: options.settings.title.value ?? (new URL(address).host || address),
    url: address,
    publicKeys,
    pins: pins.map(({ name, since, expiresAt, storePaths }, index) => {
      const { paths: all, bytes } = roots[index]!;
      return { name, since, expiresAt, storePaths, paths: all, bytes };
    }),
    ...{ paths, narSize, bytes: stored.reduce((sum, { bytes }) => sum + bytes, 0) },
  });
}

function anotherPage({ url }: ObjectStore): CarportError {
  return new CarportError('E_USAGE', `\`${KEY}\` in \`${url}\` is another page, and stays as it is`, {
    hint: '`carport cache page --replace` writes one in its place, if it may go',
  });
}
