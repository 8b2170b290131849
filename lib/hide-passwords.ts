const COLON = '(?::|%(?:25)*3A)';
const SLASH = '(?:/|%(?:25)*2F)';
const AT = '(?:@|%(?:25)*40)';

/** What a URL begins with, also where its colon or slashes are wrong; an endpoint needs none. */
const START = String.raw`\b[a-z][a-z0-9+.-]*${COLON}${SLASH}{2}|\b(?:s3|https?)(?:${COLON}${SLASH}{0,3}|//)|\bendpoint=(?!https?${COLON})`;

/** What ends a URL in text. */
const END = String.raw`\s\x60"'<>`;

/** A password may hold a slash that should have been escaped; a port with a path behind it is none. */
const NAME_AND_PASSWORD = `(?:(?!${SLASH}|${AT})[^?#${END}])*${COLON}(?![0-9]{1,5}(?:${SLASH}|[?#&]|$))(?:(?!${SLASH}{2})[^${END}])*${AT}`;
const NAME = `(?:(?!${SLASH})[^?#${END}])*${AT}`;

const USER_INFO = new RegExp(`(${START})(?:${NAME_AND_PASSWORD}|${NAME})`, 'gi');

/** Text whose URLs have no user names and passwords. A name alone stays where it is no secret: `ssh://git@host`. */
export function hidePasswords(text: string): string {
  if (!/@|%(?:25)*40/.test(text)) return text;
  return text.replace(USER_INFO, (found, start: string) =>
    /^(?:git\+)?ssh:\/\/[^:]*$/i.test(found) ? found : `${start}…@`,
  );
}
