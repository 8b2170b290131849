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
import { renderPublicKey } from '../../lib/signing/key.js';
import { releaseOfKey } from '../../release/layout.js';
import { type Context, note, writeJson } from '../cli/context.js';
import { withCache } from '../cli/with-caches.js';
import { loadSecretKeys } from '../settings/keys.js';
import type { PageOptions } from './command.js';
import { count } from './count.js';

/** Where servers look for the page of a directory. */
const KEY = 'index.html';
const LIMIT = 16 * 1024 * 1024;

/** Writes the page, unless it is there as it should be. */
export async function writePage(url: CacheUrl, options: PageOptions, context: Context): Promise<void> {
  const { settings } = options;
  await withCache(url, { options, context }, async ({ objects }, signal) => {
    await requireCacheInfo(objects);
    const there = await objects.read(KEY, LIMIT);
    if (there && !there.includes(PAGE_MARK) && !options.replace) throw anotherPage(objects);
    const keys = await loadSecretKeys([...settings['secret-key-files'].value, ...url.secretKeyFiles]);
    const publicKeys = [...keys.map(({ publicKey }) => publicKey), ...settings['trusted-keys'].value].map(
      renderPublicKey,
    );
    const text = await renderPage(objects, [...new Set(publicKeys)], options, context, signal);
    const isNew = there?.toString('utf8') !== text;
    if (isNew && !options.dryRun)
      await objects.put(KEY, Buffer.from(text), { contentType: 'text/html; charset=utf-8', cacheControl: 'no-cache' });
    if (options.json)
      return writeJson(context.stdout, { url: objects.url, key: KEY, changed: isNew, dryRun: options.dryRun });
    const changed = options.dryRun ? 'would be written' : 'is written';
    note(context, options, `\`${KEY}\` in \`${objects.url}\` ${isNew ? changed : 'is as it should be'}`);
  });
}

async function renderPage(
  objects: ObjectStore,
  publicKeys: readonly string[],
  options: PageOptions,
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
    hint: 'give `--replace` if it may go',
  });
}
