/** Parsers of addresses: caches, stores, the web sites that an index has links to. */

import { type CacheUrl, parseCacheUrl } from '../../cache/cache-url.js';
import { webAddress } from '../../index-generator/links.js';
import { CarportError } from '../../lib/errors.js';
import { mistakeIn } from '../../lib/mistaken-place.js';
import { checkPath } from '../arguments/checked-path.js';

/** A cache's URL with its parameters, or the path of one. */
export function cacheUrl(text: string, place: string): CacheUrl {
  try {
    return parseCacheUrl(text);
  } catch (error) {
    if (!(error instanceof CarportError)) throw error;
    const { code, message, hint, cause, stack } = error;
    const placed = new CarportError(code, `${message} (${place})`, { cause, ...(hint && { hint }) });
    throw Object.assign(placed, { stack });
  }
}

/** Nix's names for its stores, which would be directories here. */
const NIX_STORES = ['daemon', 'auto'];

/** A store: `nix`, or the root of carport's own. */
export function storeRoot(text: string, place: string): string {
  if (!NIX_STORES.includes(text)) return checkPath(text, place);
  throw new CarportError('E_USAGE', `\`${text}\` (${place}) is a name of Nix for its store`, {
    hint: `write \`nix\`; a directory of that name is \`./${text}\``,
  });
}

/** `new URL` takes `https:host` and `https:///host`, too, and another host for it. */
const WEB = /^https?:\/\/[^/\\][^\\]*$/i;

/** The address of a bucket's objects for users, with a `/` at its end. */
export function baseUrl(text: string, place: string): string {
  const what = `the address for users (${place})`;
  // One that is empty may be meant to forget it, which is a command of its own.
  if (text !== '') checkAddress(text, what);
  const url = URL.canParse(text) && WEB.test(text) ? new URL(text) : undefined;
  const isPlain =
    url && /^https?:$/.test(url.protocol) && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!isPlain) {
    throw new CarportError('E_USAGE', `${what} is not that of a web site`, {
      hint: 'give one such as `https://releases.example.org/`, without a password or a query; `index publish --forget base-url` takes back what was said before',
    });
  }
  return url.href.endsWith('/') ? url.href : `${url.href}/`;
}

/** The address of a project's sources, without a `/` at its end. */
export function projectPage(text: string, place: string): string {
  const what = `the address of the sources (${place})`;
  checkAddress(text, what);
  const url = WEB.test(text) ? webAddress(text) : undefined;
  if (url !== undefined) return url;
  throw new CarportError('E_USAGE', `${what} is not that of a web site`, {
    hint: 'give that of the project, such as `https://git.example.org/owner/project`',
  });
}

/** Words of what was given would be on a public page. */
function checkAddress(text: string, what: string): void {
  const mistake = mistakeIn(text);
  if (mistake) throw new CarportError('E_USAGE', `${what} ${mistake.reason}`, { hint: mistake.hint });
}
