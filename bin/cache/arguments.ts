/** Which cache a command of `cache` works on: an option, an argument, or what is set; and what else is named. */

import type { CacheUrl } from '../../cache/cache-url.js';
import { CarportError } from '../../lib/errors.js';
import { DEFAULT_STORE_DIR } from '../../lib/nix/store-path.js';
import { checkPath } from '../arguments/checked-path.js';
import { confirmProjectCache } from '../cli/confirm.js';
import type { Context } from '../cli/context.js';
import { argument } from '../declaration/arguments.js';
import { option } from '../declaration/options.js';
import { requireCache } from '../settings/places.js';
import type { Settings } from '../settings/setting.js';

/** Loaded when it is used: help does not need it. */
export const parseCacheUrl = async (text: string) => (await import('../../cache/cache-url.js')).parseCacheUrl(text);

/** The cache as an argument, as all commands of `cache` take it beside `--cache`. */
export const CACHE_ARGUMENT = argument('[cache]', 'the same as `--cache`');

/** The cache that is meant. Throws `E_USAGE` where none is, or two are. */
export async function cacheOf(
  word: string | undefined,
  { settings }: { readonly settings: Pick<Settings, 'cache'> },
): Promise<CacheUrl> {
  if (word === undefined) return requireCache(settings.cache);
  if (settings.cache.origin.kind === 'option') throw namedTwice(word);
  return parseCacheUrl(word);
}

/** The same for what cannot be undone: nobody is asked, and so it must be named in the command line itself. */
export async function namedCacheOf(
  word: string | undefined,
  options: { readonly settings: Pick<Settings, 'cache'>; readonly yes: boolean },
): Promise<CacheUrl> {
  const { origin } = options.settings.cache;
  const url = await cacheOf(word, options);
  if (word !== undefined || origin.kind === 'option' || !options.yes) return url;
  throw new CarportError(
    'E_USAGE',
    `\`--yes\` removes only a cache that is named here, and not that of ${origin.name}`,
    {
      hint: 'name it: `--cache URL`',
    },
  );
}

/** The same for what removes something when it is told to: a cache that only a project's file names is asked about. */
export async function cacheToRemoveFrom(
  word: string | undefined,
  options: { readonly settings: Pick<Settings, 'cache'>; readonly yes: boolean },
  { removes, context }: { readonly removes: boolean; readonly context: Context },
): Promise<CacheUrl> {
  const url = await cacheOf(word, options);
  if (word === undefined && removes) await confirmProjectCache(options.settings.cache, options, context);
  return url;
}

/** The cache that is meant, and a path in it: one word is a path where a cache is set, unless it can only be a cache. */
export async function cacheAndPath(
  first: string | undefined,
  second: string | undefined,
  { settings }: { readonly settings: Pick<Settings, 'cache'> },
): Promise<{ readonly url: CacheUrl; readonly path: string | undefined }> {
  const { texts, origin } = settings.cache;
  if (origin.kind === 'option' && first !== undefined && second !== undefined) throw namedTwice(first);
  const isPath = origin.kind === 'option' || (texts.length > 0 && first !== undefined && !isPlace(first));
  if (first === undefined || (second === undefined && isPath)) {
    return { url: requireCache(settings.cache), path: first };
  }
  return { url: await parseCacheUrl(first), path: second };
}

/** What a copy is from and to: its first two words, unless options say it. */
export async function copyPlaces(
  words: readonly string[],
  { settings: { from, to } }: { readonly settings: Pick<Settings, 'from' | 'to'> },
): Promise<{ readonly from: CacheUrl; readonly to: CacheUrl; readonly what: readonly string[] }> {
  if ([from, to].some(({ origin }) => origin.kind === 'option')) {
    const [source, more] = from.value;
    if (source === undefined || more !== undefined) throw oneSource();
    return { from: source, to: requireCache(to, 'to'), what: words };
  }
  const [source, target, ...what] = words;
  if (source === undefined || target === undefined) {
    throw new CarportError('E_USAGE', `missing required argument \`${source === undefined ? 'from' : 'to'}\``, {
      hint: 'name both caches: `--from URL --to URL`',
    });
  }
  return { from: await parseCacheUrl(source), to: await parseCacheUrl(target), what };
}

function oneSource(): CarportError {
  return new CarportError('E_USAGE', 'it is not said which one cache is copied', {
    hint: 'name it: `--from URL`, or set CARPORT_CACHE',
  });
}

/** A URL, or a path of the file system that is none of the store. */
function isPlace(word: string): boolean {
  if (word.startsWith(`${DEFAULT_STORE_DIR}/`)) return false;
  return /^[a-z][a-z0-9+]*:\/\//i.test(word) || /^\.{0,2}\//.test(word) || word === '.' || word === '..';
}

function namedTwice(word: string): CarportError {
  return new CarportError('E_USAGE', `\`--cache\` names the cache, and so does \`${word}\``, {
    hint: 'give one of them',
  });
}

/** What a server has written down of its bucket, in place of a listing. */
export const INVENTORY = option(
  '--inventory <manifest>',
  'read what the bucket holds from the `manifest.json` of an S3 inventory on this machine instead of listing it',
  { parse: checkPath },
);
