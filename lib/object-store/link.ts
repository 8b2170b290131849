/** Links in documents of a web server, as Nix follows them: where they lead, and where none may. */

import { formatError } from '../errors.js';

/**
 * Where a link of a document leads that lies in `base`, which ends with `/`: a relative or absolute URL, whose
 * percent-encoding and query are sent as they are. It leads to a web server, from TLS to TLS only, and with no `..` in its
 * path, however that is written: servers decode before they look.
 */
export function resolveLink(link: string, base: URL): URL {
  const refuse = (why: string) => formatError(`URL \`${printableLink(link)}\``, why);
  if (/[\x00-\x20\x7f\\]/.test(link)) throw refuse('has characters that no URL has');
  const written = link.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(written);
  if (isAbsolute ? !/^https?:\/\/[^/]/i.test(written) : written.startsWith('//')) {
    throw refuse('leads outside the cache, and not to a web server');
  }
  const path = (isAbsolute ? written.replace(/^[^:]*:\/\/[^/?#]*/, '') : written).replace(/[?#].*$/, '');
  if (decodedTwice(path).split(/[/\\]/).includes('..')) throw refuse('leads outside the cache: it has `..`');
  if (!URL.canParse(written, base.href)) throw refuse('is no URL');
  const target = new URL(written, base);
  if (target.username !== '' || target.password !== '') throw refuse('has a password in it');
  if (base.protocol === 'https:' && target.protocol !== 'https:') throw refuse('leads from TLS to a server without it');
  if (target.origin === base.origin && [base.pathname, '/'].includes(target.pathname)) throw refuse('names no file');
  return target;
}

/** A link without what may be a secret: a password, and what comes after `?`. */
export function printableLink(link: string): string {
  const plain = link.replace(/\?.*$/s, '?…').replace(/\/\/[^/]*@/, '//');
  return JSON.stringify(plain).slice(1, -1);
}

/** What may be read as dots and slashes, also by a server behind a proxy that has decoded once. */
function decodedTwice(path: string): string {
  const decode = (text: string) =>
    text.replace(/%(2e|2f|5c|25)/gi, (code) => String.fromCharCode(Number.parseInt(code.slice(1), 16)));
  return decode(decode(path));
}
