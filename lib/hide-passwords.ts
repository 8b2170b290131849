/** Passwords of URLs, out of text. */

const COLON = '(?::|%(?:25){0,9}3A)';
const SLASH = '(?:/|%(?:25){0,9}2F)';
const AT = '(?:@|%(?:25){0,9}40)';

/** What a URL begins with, also where its colon or slashes are wrong; an endpoint needs none. */
const START = String.raw`\b[a-z][a-z0-9+.-]{0,20}${COLON}${SLASH}{2}|\b(?:s3|https?)(?:${COLON}${SLASH}{0,3}|//)|\bendpoint=(?!https?${COLON})`;

/** What ends a URL in text. */
const END = String.raw`\s\x60"'<>`;

/** The address of a host that has colons itself: behind it there is no password. */
const ADDRESS = String.raw`(?!(?:\[|%(?:25){0,9}5B)[0-9a-f:.]*(?:%(?:25){0,9}3A[0-9a-f:.]*)*(?:\]|%(?:25){0,9}5D))`;

/** Longer ones nobody has: text without an end is not read again at each of its starts. */
const MOST = 2048;

/** A password may hold a slash that should have been escaped; a port with a path behind it is none. */
const NAME_AND_PASSWORD = `(?:(?!${SLASH}|${AT})[^?#${END}]){0,${MOST}}?${COLON}(?![0-9]{1,5}(?:${SLASH}|[?#&]|$))(?:(?!${SLASH}{2})[^${END}]){0,${MOST}}${AT}`;
const NAME = `(?:(?!${SLASH})[^?#${END}]){0,${MOST}}${AT}`;

const SURE = new RegExp(
  // No bucket has a colon in its name.
  String.raw`(\bs3${COLON}${SLASH}{2})${ADDRESS}(?:${NAME_AND_PASSWORD}|${NAME})|(${START})${ADDRESS}${NAME}`,
  'gi',
);
const LIKELY = new RegExp(`(${START})${ADDRESS}(?:${NAME_AND_PASSWORD}|${NAME})`, 'gi');

/** Text whose URLs have no user names and passwords. A name alone stays where it is no secret: `ssh://git@host`. */
export function hidePasswords(text: string): string {
  return hide(text, SURE);
}

/** Text without what may be a password, either: one with a slash that should have been escaped looks like a host and a path. */
export function hideLikelyPasswords(text: string): string {
  return hide(text, LIKELY);
}

function hide(text: string, form: RegExp): string {
  if (!/@|%(?:25){0,9}40/.test(text)) return text;
  return text.replace(form, (found, start: string, other?: string | number) =>
    /^(?:git\+)?ssh:\/\/[^:]*$/i.test(found) ? found : `${start ?? other}…@`,
  );
}
