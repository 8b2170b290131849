const COLON = '(?::|%(?:25)*3A)';
const SLASH = '(?:/|%(?:25)*2F)';
const AT = '(?:@|%(?:25)*40)';

/** A user name and password may hold a slash that should have been escaped; a port with a path behind it does not. */
const USER_INFO = new RegExp(
  String.raw`(\b[a-z][a-z0-9+.-]*${COLON}${SLASH}{2}|\bendpoint=(?![a-z]+${COLON}${SLASH}{2}))(?:(?:(?!${SLASH}|${AT})[^\s?#\x60"'<>])*${COLON}(?![0-9]{1,5}(?:${SLASH}|[?#&]|$))(?:(?!${SLASH}{2})[^\s\x60"'<>])*${AT}|(?:(?!${SLASH})[^\s?#\x60"'<>])*${AT})`,
  'gi',
);

/** Text whose URLs have no user names and passwords. A name alone stays where it is no secret: `ssh://git@host`. */
export function hidePasswords(text: string): string {
  if (!/@|%(?:25)*40/.test(text)) return text;
  return text.replace(USER_INFO, (found, start: string) =>
    /^(?:git\+)?ssh:\/\/[^:]*$/i.test(found) ? found : `${start}…@`,
  );
}
