/** Where the URL of a cache leads, and what was meant by one that is refused. */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CarportError } from '../lib/errors.js';
import { hideLikelyPasswords } from '../lib/hide-passwords.js';
import { type Mistake, mistakeIn, mistakeInPath } from '../lib/mistaken-place.js';
import { isKey } from '../lib/object-store/object-store.js';
import type { S3Location } from '../lib/object-store/s3/address.js';
import { nearest } from '../lib/suggestion.js';

export type CacheLocation =
  | { readonly kind: 'file'; readonly root: string }
  /** The directory of `nix-cache-info`; its path ends with `/`. */
  | { readonly kind: 'http'; readonly url: URL }
  | S3Location;

/** What the parameters of an `s3://` URL say of where the bucket is. */
export type S3Parameters = Omit<S3Location, 'kind' | 'bucket' | 'prefix'>;

const SCHEMES = ['s3', 'https', 'http', 'file'];

/** What a cache's URL begins with; nothing for a plain path. */
export function schemeOf(base: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(base)?.[1]?.toLowerCase();
}

/** Throws where a cache's URL was written otherwise than it was meant. `base` is all before its parameters. */
export function checkWriting(text: string, base: string): void {
  const plain = schemeOf(base) === undefined;
  const mistake = mistakeIn(text) ?? mistakeIn(base) ?? severalIn(text) ?? (plain ? mistakeInPlain(base) : undefined);
  if (mistake) throw mistaken(base === '' ? base : text, mistake);
}

/** Where a cache is. `scheme` is that of an endpoint that has none. */
export function parseLocation(base: string, s3: S3Parameters, scheme: string): CacheLocation {
  const kind = schemeOf(base);
  switch (kind) {
    case undefined:
      return { kind: 'file', root: notTop(base, resolve(base)) };
    case 'file':
      return { kind: 'file', root: notTop(base, parseRoot(base)) };
    case 'http':
    case 'https':
      return { kind: 'http', url: parseHttpUrl(base) };
    case 's3':
      return parseS3(base, s3, scheme);
    default:
      throw unsupported(kind, base);
  }
}

/** A URL, or a host with the parameter `scheme`. `what` names it. */
export function parseEndpoint(text: string, scheme = 'https', what = 'the endpoint'): string {
  const mistake = mistakeIn(text) ?? serverMistake(text);
  if (mistake) throw usage(`${what} ${mistake.reason}`, mistake.hint);
  const url = parseServerUrl(/^[a-z]+:\/\//i.test(text) ? text : `${scheme}://${text}`, what);
  if (!['http:', 'https:'].includes(url.protocol)) throw usage(`${what} is neither \`http://\` nor \`https://\``);
  if (url.pathname === '/' && url.search === '' && url.hash === '') return url.origin;
  // A server would take it for a bucket, and write there.
  throw usage(
    `${what} has a path: \`${url.pathname}\``,
    `write \`endpoint=${url.origin}\`; the bucket is the host of \`s3://bucket\``,
  );
}

/** A scheme that has lost its colon or a slash, or has one too many: the host would be another. */
function serverMistake(text: string): Mistake | undefined {
  const [, scheme, rest] = /^(https?)(?::\/{0,1}|:\/{3,}|\/\/+)(?!\/)(.*)$/i.exec(text) ?? [];
  if (scheme === undefined || /^[0-9]+$/.test(rest!)) return undefined;
  return { reason: 'is not a URL', hint: `did you mean \`${hideLikelyPasswords(`${scheme}://${rest}`)}\`?` };
}

function severalIn(text: string): Mistake | undefined {
  const [base = ''] = text.split('?');
  if (!/[,;|\s]\s*[a-z][a-z0-9+.-]*:\/\//i.test(base) && !/\s[a-z][a-z0-9+.-]*:\/\//i.test(text)) return undefined;
  return { reason: 'names several caches', hint: 'give one; where several are allowed, each has an option of its own' };
}

/** Nix's names for its stores, which would be directories here. */
const NIX_STORES = ['daemon', 'auto'];

/** Also a path that has lost the colon or a slash of its scheme. */
function mistakeInPlain(base: string): Mistake | undefined {
  if (base.startsWith('//')) {
    const hint = `a variable before one of them may not be set; did you mean \`${base.replace(/^\/+/, '/')}\`?`;
    return { reason: 'begins with two slashes', hint };
  }
  if (NIX_STORES.includes(base)) {
    return { reason: 'is a name of Nix for its store', hint: `a directory of that name is \`./${base}\`` };
  }
  const [, word = '', sign, slashes, rest] = /^([^/:]+)(:+|(?=\/\/))(\/*)(.*)$/.exec(base) ?? [];
  const scheme = sign === '' ? SCHEMES.find((each) => each === word.toLowerCase()) : schemeMeant(word);
  if (scheme === undefined) return mistakeInPath(base);
  const start = scheme !== 'file' ? `${scheme}://` : slashes === '' ? './' : 'file:///';
  return {
    reason: 'is not a URL',
    hint: `did you mean \`${start}${rest}\`? A directory of that name is \`./${base}\``,
  };
}

/** Of short ones, one letter more or less is another. */
function schemeMeant(word: string): string | undefined {
  const lower = word.toLowerCase();
  const near = lower.length > 3 ? nearest(lower, SCHEMES) : lower;
  return SCHEMES.find((scheme) => scheme === near && scheme[0] === lower[0]);
}

function parseRoot(base: string): string {
  const path = base.slice('file://'.length);
  if (/^[.~]/.test(path) || path.startsWith('/~')) {
    throw mistaken(base, {
      reason: 'is not the URL of a directory',
      hint: `${ABSOLUTE}; a plain path may be relative: \`./cache\``,
    });
  }
  if (path.includes('\\') || /^\/?[a-z]:/i.test(path)) {
    throw mistaken(base, { reason: 'has a path of Windows', hint: ABSOLUTE });
  }
  if (path.includes('#')) {
    throw mistaken(base, { reason: 'has a `#`, which ends the path of a URL', hint: 'write `%23` for one in a name' });
  }
  try {
    return fileURLToPath(base);
  } catch (cause) {
    throw new CarportError('E_USAGE', `\`${hideLikelyPasswords(base)}\` is not the URL of a directory`, {
      cause,
      hint: ABSOLUTE,
    });
  }
}

const ABSOLUTE = 'a `file://` URL has three slashes before an absolute path: `file:///srv/cache`';

/** Nobody keeps a cache in `/`: a variable was empty. */
function notTop(base: string, root: string): string {
  if (root.startsWith('//')) throw mistaken(base, { reason: 'has an empty part before its path', hint: UNSET });
  if (root.trim() === '/') throw mistaken(base, { reason: 'is the root of the file system', hint: UNSET });
  const mistake = root.lastIndexOf('/') === 0 ? mistakeInPath(root.slice(1)) : undefined;
  if (mistake) throw mistaken(base, { ...mistake, hint: UNSET });
  return root;
}

const UNSET = 'a variable in it may not be set; name a directory, such as `file:///srv/cache`';

function parseHttpUrl(base: string): URL {
  const mistake = serverMistake(base);
  if (mistake || /[\\#]/.test(base)) {
    throw mistaken(base, mistake ?? { reason: 'has a `\\` or a `#`', hint: 'it looks like `https://host/path`' });
  }
  const url = parseServerUrl(base, "a cache's URL");
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Messages do not repeat what may hold a password. */
function parseServerUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hostname === '')
    throw usage(`${what} is not a URL`, 'it looks like `https://host:port`');
  if (url.username === '' && url.password === '') return url;
  throw usage(
    `${what} must not hold a user name or password: others can see command lines`,
    'put them into `~/.netrc`',
  );
}

function parseS3(base: string, { endpoint, ...others }: S3Parameters, scheme: string): S3Location {
  const [bucket = '', ...rest] = base.slice('s3://'.length).split('/');
  if (bucket.includes('@')) {
    throw usage(
      "a cache's URL must not hold a user name or password: others can see command lines",
      'put an access key into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or into a profile',
    );
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(bucket)) {
    throw usage(
      bucket === '' ? `\`${hideLikelyPasswords(base)}\` names no bucket` : `\`${bucket}\` is not the name of a bucket`,
      `${bucket === '' ? 'a variable in it may not be set; ' : ''}it looks like \`s3://bucket?endpoint=https://host&region=garage\``,
    );
  }
  const prefix = rest.join('/').replace(/(?<=[^/])\/+$/, '');
  if (prefix !== '' && !isKey(prefix)) {
    const hint = /^\/|\/\/|\/$/.test(prefix) ? 'a variable in it may not be set' : undefined;
    throw usage(`\`${prefix}\` is not a directory in a bucket`, hint);
  }
  return { kind: 's3', bucket, prefix, ...others, ...(endpoint && { endpoint: parseEndpoint(endpoint, scheme) }) };
}

function unsupported(scheme: string, base: string): CarportError {
  const meant = schemeMeant(scheme);
  return usage(
    `\`${scheme}://\` caches are not supported`,
    meant === undefined
      ? 'use `s3://bucket`, `https://host`, `file:///path`, or a plain path'
      : `did you mean \`${hideLikelyPasswords(meant + base.slice(scheme.length))}\`?`,
  );
}

/** What was given is told without what may be a password. */
function mistaken(base: string, { reason, hint }: Mistake): CarportError {
  if (base.trim() === '') return usage(`a cache's URL ${reason}`, `${hint}; give one such as \`file:///srv/cache\``);
  return usage(`\`${hideLikelyPasswords(base)}\` ${reason}`, hideLikelyPasswords(hint));
}

export function usage(message: string, hint?: string): CarportError {
  return new CarportError('E_USAGE', message, hint === undefined ? {} : { hint });
}
